"""The batches of an hour of the recorded night as the sequencer offers them to a committee."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from support.session import LOG, OPERATOR, Run, post, run_night

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.commitments.policy import Data
from straddle.committee.member import Member
from straddle.committee.offer import Offer
from straddle.committee.store import MemberStore
from straddle.l1.certificates import offer_digest, sign_digest
from straddle.l1.deployment import Deployment, RollupConfig
from straddle.node.config import DemoConfig
from straddle.node.traders import address_of
from straddle.proving.vector import PostedBatch

VK_ID = b"v" * 32
MEMBERS = sorted((Account.from_key(keccak(b"member %d" % i)) for i in range(7)), key=lambda account: int(account.address, 16))


@dataclass
class Layer1:
    """What layer 1 says of headers, for a test to change."""

    standing: set[tuple[int, bytes]] = field(default_factory=set)
    voided: set[tuple[int, bytes]] = field(default_factory=set)

    def stands(self, number: int, header_hash: bytes) -> bool:
        return (number, header_hash) in self.standing

    def is_voided(self, number: int, header_hash: bytes) -> bool:
        return (number, header_hash) in self.voided


@dataclass
class World:
    """A rollup and what its sequencer offers."""

    run: Run
    deployment: Deployment
    layer1: Layer1
    offers: list[Offer]
    headers: list[bytes]
    roots: list[int]
    folder: Path
    stores: list[MemberStore] = field(default_factory=list)

    def member(self, place: str = "member", which: int = 0) -> Member:
        """A member on the files of a folder: the same member when it was open before."""
        store = MemberStore(self.folder / place / "member.sqlite", self.deployment.chain_id, self.deployment.rollup)
        self.stores.append(store)
        params = self.run.exchange.sequencer.committed.params
        return Member(self.deployment, self.run.config.circuit, params, store, MEMBERS[which], self.layer1)

    def offer(self, batch: PostedBatch, parent: bytes) -> Offer:
        """Signed by the sequencer."""
        number = batch.effects.batch_number
        signature = sign_digest(OPERATOR, offer_digest(self.deployment.chain_id, self.deployment.rollup_number, number, batch.header_hash))
        inputs = next(epoch.inputs for epoch in self.run.exchange.session.epochs if epoch.epoch == batch.effects.epoch)
        return Offer(number, parent, batch.place.data, batch.effects_words, batch.body_words, inputs, signature)

    def signed(self, offer: Offer) -> Offer:
        """Any offer with the sequencer's signature over what it says now."""
        digest = offer_digest(self.deployment.chain_id, self.deployment.rollup_number, offer.number, offer.header_of(self.deployment))
        return dataclasses.replace(offer, signature=sign_digest(OPERATOR, digest))

    def elsewhere(self, number: int, data: Data) -> tuple[Offer, bytes]:
        """A batch of the run with its body at another place, after the same parent, and its header."""
        offer = self.signed(dataclasses.replace(self.offers[number - 1], data=data))
        return offer, offer.header_of(self.deployment)


def limit_disk(store: MemberStore, *, full: bool) -> None:
    """SQLite itself refuses to let the file grow, as on a full disk, or does so no more."""
    pages = store._db.execute("PRAGMA page_count").fetchone()[0] if full else 1 << 30
    store._db.execute(f"PRAGMA max_page_count = {pages}")


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_night(DemoConfig.recorded(preset="nano", rounds=2, hours=1, takers=2), tmp_path_factory.mktemp("night"))


@pytest.fixture
def world(run: Run, tmp_path: Path) -> World:
    preset, params = run.config.circuit, run.exchange.sequencer.committed.params
    config = RollupConfig(
        sequencer=OPERATOR.address,
        operator=OPERATOR.address,
        oracles=(),
        threshold=2,
        genesis_root=CommittedState.genesis(params, address_of(OPERATOR)).root,
        params_hash=params_hash(params),
        account_depth=preset.account_depth,
        queue_rows=preset.queue,
        withdrawal_rows=preset.withdrawals,
        body_cells=preset.body_words,
        data=Data.COMMITTEE,
        members=tuple(account.address for account in MEMBERS),
        member_threshold=6,
    )
    zero = "0x" + "0" * 40
    deployment = Deployment(LOG.chain_id, 1, zero, zero, zero, f"{LOG.rollup:#042x}", VK_ID, config, zero, zero)
    genesis = genesis_header_hash(config.genesis_root)
    batches = post(run, genesis, VK_ID, Data.COMMITTEE)
    headers = [batch.header_hash for batch in batches]
    made = World(run, deployment, Layer1(), [], headers, [batch.effects.new_state_root for batch in batches], tmp_path)
    made.offers = [made.offer(batch, parent) for batch, parent in zip(batches, [genesis, *headers], strict=False)]
    assert len(made.offers) >= 4
    return made


@pytest.fixture
def give() -> Callable[[Member, Sequence[Offer]], None]:
    def certify_all(member: Member, offers: Sequence[Offer]) -> None:
        for offer in offers:
            member.certify(offer)

    return certify_all
