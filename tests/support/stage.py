"""A rollup on anvil whose batches are told, not computed (as in tests/differential/scenes.py): with real deposits, real risk tables and a proposer who posts
what he likes. What he claims needs no proof unless somebody challenges it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eth_utils.crypto import keccak

from straddle.commitments.blob import bytes_blobs, cells_blob
from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.ledger import CommittedState
from straddle.commitments.listings import extend_listings_root
from straddle.commitments.params import params_hash
from straddle.commitments.policy import Data, Proofs
from straddle.commitments.risk import risk_root
from straddle.core.accounts import FIRST_USER_ACCOUNT
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.core.instruments import Instrument, Kind
from straddle.core.messages import MessageKind, domain, signed_words
from straddle.core.orders import Signature
from straddle.core.risk_table import RiskTable
from straddle.l1.anvil import Anvil
from straddle.l1.certificates import certificate_digest
from straddle.l1.deploying import CircuitKeys, StatementKey, VerifyingKeyWords, deploy
from straddle.l1.deployment import RollupConfig
from straddle.l1.history import read_history
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient, sign_epoch
from straddle.l1.sender import Sender
from straddle.node.version import exchange_params
from straddle.primitives.keys import SecretKey
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.keys import VerifyingKey
from straddle.proving.transcript import encode
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputs, encode_inputs
from straddle.risk.market_parameters import DEFAULT_MARKET
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.scaling import next_scaling
from straddle.risk.table import build_table
from tests.differential.scenes import DOLLARS, HOUR_MS, INDEX_TICKS, PRESET, ClosedBatch, Scene, instrument

FIXTURE_KEY = Path(__file__).parents[1] / "contracts" / "fixtures" / "groth16.json"
START_S = 1_590_105_600
STEP_MS = 60_000
PROPOSER_BOND, CHALLENGER_BOND = 3 * 10**17, 10**17
WINDOW_S, ALLOWANCE_S, ANSWER_S = 7 * 86_400, 600, 86_400
MEMBERS = 3
LISTED = (
    instrument(1, Kind.PERPETUAL),
    instrument(2, Kind.CALL, START_S * 1000 + 240 * HOUR_MS),
    instrument(3, Kind.PUT, START_S * 1000 + 240 * HOUR_MS),
    instrument(4, Kind.FUTURE, START_S * 1000 + 240 * HOUR_MS),
)


def fixture_key() -> VerifyingKey:
    """A genuine verifying key whose proofs nobody in these tests makes."""
    return VerifyingKey.from_json(json.loads(FIXTURE_KEY.read_text())["verifying_key"])


@dataclass
class Posted:
    """What went to layer 1."""

    batch: PostedBatch
    transcript: bytes
    before: CommittedState


@dataclass
class People:
    """Wallets, funded."""

    anvil: Anvil
    made: dict[str, Sender] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Sender:
        if name not in self.made:
            self.made[name] = Sender(self.anvil.rpc, keccak(name.encode()))
            self.anvil.fund(self.made[name].address)
        return self.made[name]


class Stage(Scene):
    """One rollup. `open_epoch` before batches; what `Scene` tells goes into the open batch; `close` makes it, `post` sends it."""

    def __init__(
        self,
        anvil: Anvil,
        *,
        key: VerifyingKeyWords | None = None,
        proofs: Proofs = Proofs.WHEN_CHALLENGED,
        data: Data = Data.CALLDATA,
        window_s: int = WINDOW_S,
    ) -> None:
        self.anvil, self.people, self.data = anvil, People(anvil), data
        self.params = exchange_params(PRESET, DEFAULT_MARKET)
        self.oracles = sorted((keccak(b"oracle %d" % i) for i in range(2)), key=lambda secret: int(Sender(anvil.rpc, secret).address, 16))
        operator = self.people["operator"]
        self.state = CommittedState.genesis(self.params, int(operator.address, 16))
        optimistic = proofs is Proofs.WHEN_CHALLENGED
        self.members = sorted((self.people[f"member {i}"] for i in range(MEMBERS * (data is Data.COMMITTEE))), key=lambda member: int(member.address, 16))
        config = RollupConfig(
            sequencer=self.people["sequencer"].address,
            operator=operator.address,
            oracles=tuple(Sender(anvil.rpc, secret).address for secret in self.oracles),
            threshold=2,
            genesis_root=self.state.root,
            params_hash=params_hash(self.params),
            account_depth=PRESET.account_depth,
            queue_rows=PRESET.queue,
            withdrawal_rows=PRESET.withdrawals,
            body_cells=PRESET.body_words,
            proofs=proofs,
            data=data,
            members=tuple(member.address for member in self.members),
            member_threshold=len(self.members),
            proposer_bond_wei=PROPOSER_BOND * optimistic,
            challenger_bond_wei=CHALLENGER_BOND * optimistic,
            challenge_window_s=window_s * optimistic,
            proving_allowance_s=ALLOWANCE_S * optimistic,
        )
        keys = CircuitKeys(key or fixture_key(), StatementKey(fixture_key(), 0, -(-PRESET.instruments // 4)))
        self.deployment = deploy(anvil.rpc, operator, keys, config)
        self.client = RollupClient(anvil.rpc, self.deployment)
        self.domain = domain(self.deployment.chain_id, self.deployment.rollup_number)
        self.keys, self.secrets, self.nonces = {}, {}, type(self).__dataclass_fields__["nonces"].default_factory()
        self.sequence, self.closed, self.now = 1, [], {}
        self.parent = genesis_header_hash(self.state.root)
        self.inputs: dict[int, RiskInputs] = {}
        self.posted: list[Posted] = []
        self.accounts: dict[int, Sender] = {}
        self.answered = 0
        self.open_epoch()
        self.batch.listings += LISTED

    # ---- epochs

    def open_epoch(self, index_ticks: int = INDEX_TICKS, *, recorded: bool = True) -> RiskTable:
        """The next epoch at layer 1's time, signed and recorded; the open batch, empty still, is priced on it."""
        previous = self.inputs[max(self.inputs)] if self.inputs else None
        time_ms = self.anvil.time_s() * 1000
        listed: Sequence[Instrument] = self.state.listings or LISTED
        expiries = sorted({item.expiry_ms for item in listed if item.kind is not Kind.PERPETUAL})
        vols = tuple((item.id, 8_000) for item in listed if not item.linear)
        funding, (hours, scale) = (0, 0), ((index_ticks,), 10**6)
        if previous is not None:
            funding, (hours, scale) = accrue(previous, time_ms, DEFAULT_PARAMETERS), next_scaling(previous, time_ms, index_ticks, DEFAULT_PARAMETERS)
        inputs = RiskInputs(
            len(self.inputs) + 1, time_ms, index_ticks, index_ticks, *funding, tuple((expiry, index_ticks) for expiry in expiries), vols, scale, hours
        )
        self.inputs[inputs.epoch] = inputs
        self.use_epoch(inputs.epoch)
        if recorded:
            self.record(self.table)
        return self.table

    def record(self, table: RiskTable) -> None:
        """The oracles sign a table with the inputs of its epoch, whether these give it or not, and layer 1 records it; the open batch is priced on it."""
        encoded, root = encode_inputs(self.inputs[table.epoch]), self.root_of(table)
        digest = self.client.epoch_digest(table.epoch, table.time_ms, root, encoded)
        self.client.submit_epoch(self.people["sequencer"], table.epoch, table.time_ms, root, encoded, sign_epoch(digest, self.oracles))
        self.table = table
        self._open()

    def use_epoch(self, epoch: int) -> None:
        """Price the open batch, empty still, on an epoch's table."""
        self.table = build_table(self.inputs[epoch], self.state.listings or LISTED, DEFAULT_PARAMETERS)
        self._open()

    def root_of(self, table: RiskTable) -> int:
        listings_root = self.state.listings_root if self.state.listings else extend_listings_root(self.state.listings_root, LISTED)
        return risk_root(listings_root, table.rows)

    # ---- layer 1's queue

    def join(self, *dollars: int) -> list[int]:
        """New accounts with deposits and keys on layer 1; their entries wait for `answer`. Ids in order."""
        made = []
        for amount in dollars:
            owner = self.people[f"owner {len(self.accounts)}"]
            self.client.mint(self.people["operator"], owner.address, amount * DOLLARS)
            account = self.client.deposit(owner, amount * DOLLARS).account
            assert account == FIRST_USER_ACCOUNT + len(self.accounts)
            secret = SecretKey.from_seed(b"trader %d" % account)
            self.client.set_key(owner, account, secret.public, secret.base)
            self.keys[account] = self.secrets[secret.public] = secret
            self.accounts[account] = owner
            made.append(account)
        return made

    def answer(self, count: int | None = None, *, paid: int = 0) -> None:
        """Queue entries of layer 1 into the open batch, all that wait or the next `count`; forced withdrawals are paid `paid`."""
        waiting = queue_commands(read_history(self.anvil.rpc, self.deployment).queue)[self.answered :]
        for entry in waiting[:count]:
            match entry:
                case L1Deposit():
                    self.deposit(entry.account, entry.amount, entry.owner)
                case L1SetKey():
                    self._entry(entry.account, entry.owner)
                    self.batch.queue.append(entry)
                    account = self.now[entry.account]
                    account.key, account.key_epoch = entry.key, account.key_epoch + 1
                case L1ForceWithdraw():
                    self.force_withdraw(entry.account, entry.amount, paid)
                case L1ForceClose():
                    self.force_close(entry.account, entry.limit_bps)
            self.answered += 1

    def sign(self, identifier: int, kind: MessageKind, payload: int) -> Signature:
        leaf = self.state.account(identifier).account
        return self.secrets[leaf.key].sign(signed_words(self.domain, kind, identifier, leaf.key_epoch, payload))

    # ---- batches

    @property
    def chain(self) -> ChainFacts:
        deployment = self.deployment
        return ChainFacts(deployment.chain_id, deployment.rollup_number, deployment.vk_id, self.parent, int(self.people["sequencer"].address, 16), self.data)

    def close(self) -> ClosedBatch:
        self.batch.end = {identifier: account.copy() for identifier, account in self.now.items()}
        self.batch.last_sequence = self.sequence
        posted = build_witness(self.state, self.batch, PRESET, HeaderFacts(self.domain, self.batch.number), self.chain)
        after = self.state.copy()
        after.apply_batch(self.batch)
        self.closed.append(ClosedBatch(self.state, after, self.batch, posted, self.chain, dict(self.secrets)))
        return self.closed[-1]

    def post(self, batch: PostedBatch | None = None, transcript: bytes | None = None, *, after: CommittedState | None = None) -> Posted:
        """Propose the open batch, or another one in its place, with its own transcript or another; the next batch starts after it."""
        closed = self.close()
        batch = batch or closed.posted
        transcript = encode(batch.witness) if transcript is None else transcript
        c, sequencer = batch.witness.public.c, self.people["sequencer"]
        match self.data:
            case Data.CALLDATA:
                self.client.propose(sequencer, batch, c, transcript=transcript)
            case Data.BLOB:
                blobs = [cells_blob(batch.body_words), *(bytes_blobs(transcript) if transcript else ())]
                self.client.propose(sequencer, batch, c, opening=batch.opening, blobs=blobs)
            case Data.COMMITTEE:
                digest = certificate_digest(self.deployment.chain_id, self.deployment.rollup_number, batch.effects.batch_number, batch.header_hash)
                certificates = [bytes(member._account.unsafe_sign_hash(digest).signature) for member in self.members]
                self.client.propose(sequencer, batch, c, certificates=certificates)
        self.posted.append(Posted(batch, transcript, closed.before))
        self.state, self.parent = after or closed.after, batch.header_hash
        self.sequence = batch.effects.last_sequence + 1
        self._open()
        return self.posted[-1]

    def pass_time(self, seconds: int) -> None:
        """Layer 1's clock moves on, with a block."""
        self.anvil.set_time(self.anvil.time_s() + seconds)
        self.anvil.rpc.call("evm_mine")

    def wei(self) -> int:
        """What the contract holds."""
        return self.anvil.rpc.balance_wei(self.deployment.rollup)


def with_row(batch: PostedBatch, table: str, index: int, **changes: object) -> PostedBatch:
    """The batch with one row of its witness changed: the data stay as they are."""
    rows = getattr(batch.witness, table)
    return replace(batch, witness=replace(batch.witness, **{table: (*rows[:index], replace(rows[index], **changes), *rows[index + 1 :])}))
