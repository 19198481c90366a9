"""A rollup on anvil whose traders hold options, futures and the perpetual, and whose operator then disappears: nothing but layer 1 is left.

Engine, sequencer, data and layer 1 are real. Proofs of exits and of solvency are real. Proofs of batches are not made here unless asked for
(tests/integration/test_loop.py has those): the batch verifier takes a hash.
"""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvicorn
from eth_abi.abi import encode
from eth_account import Account as EthereumAccount
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from starlette.applications import Starlette

from straddle.commitments.ledger import CommittedState
from straddle.commitments.policy import Data, Proofs
from straddle.commitments.risk import risk_root
from straddle.committee.layer1 import HeadersOnLayer1
from straddle.committee.member import Member
from straddle.committee.offer import Offer
from straddle.committee.store import MemberStore
from straddle.core import messages
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.commands import Command
from straddle.core.instruments import Kind
from straddle.core.orders import Side, outright
from straddle.core.rejections import Rejection
from straddle.l1.anvil import Anvil
from straddle.l1.blobs import BlobArchive
from straddle.l1.certificates import certificate_digest, offer_digest, sign_digest
from straddle.l1.contracts import load_path
from straddle.l1.deploying import CircuitKeys, StatementKey, _Deployer, deploy
from straddle.l1.deployment import Deployment, RollupConfig, StatementContract, constructor_struct, read_deployment
from straddle.l1.history import read_history
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.feed import OracleReplay, RecordedMarket
from straddle.node.layer1 import PosterChain
from straddle.node.market import genesis
from straddle.node.session import MarketSession
from straddle.node.traders import Trader, address_of, wallet_of
from straddle.node.version import exchange_params
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.keys import VerifyingKey
from straddle.proving.presets import load_holdings_preset, load_preset
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputs, decode_inputs, encode_inputs
from straddle.risk.listing import list_chain
from straddle.risk.oracle import EpochMessage, sign_epoch
from straddle.risk.scaling import next_scaling, target_scale_ppm
from straddle.risk.table import build_table
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.journal import Journal
from straddle.sequencer.poster import BatchProver
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

DOLLARS = 10**6
EXIT, SOLVENCY = load_holdings_preset("nano", "exit"), load_holdings_preset("nano", "solvency")
DAY_S = 24 * 60 * 60
LEAD_S = 3_600
EPOCH_S = 600
"""A new table once the chain is so much later than the last one's."""
HORIZON_MS = 30 * DAY_S * 1000
"""What is listed expires later than this after the start: a freeze, its marks and claims come first."""
MOCK_VERIFIER = Path(__file__).resolve().parents[1] / "contracts" / "mocks" / "MockVerifier.vy"


@dataclass
class Deserted:
    """A rollup, its traders, and for as long as it lives its operator. `keys` are the verifying keys of exits and solvency."""

    anvil: Anvil
    market: RecordedMarket
    folder: Path
    keys: tuple[StatementKey, StatementKey]
    proofs: Proofs = Proofs.WHEN_CHALLENGED
    data: Data = Data.CALLDATA
    traders: list[Trader] = field(default_factory=list)
    archive: BlobArchive | None = None
    """Who keeps the blobs, where the data lie in blobs."""
    posted: int = 0
    """Batches proposed."""
    epochs: list[SignedEpoch] = field(default_factory=list)
    prove: bool = True
    """Whether batches are proved where a proof is required."""
    batches: tuple[VerifyingKey, BatchProver] | None = None
    """Key and prover of the batch circuit: proofs of batches are real then."""
    _parent: bytes = b""

    def __post_init__(self) -> None:
        self.preset = load_preset("nano")
        self.operator, self.poster = wallet_of(7, "operator"), wallet_of(7, "sequencer")
        self.members = tuple(sorted((wallet_of(7, f"member-{i}") for i in range(7)), key=address_of))
        self.oracles = tuple(sorted((wallet_of(7, f"oracle-{i}") for i in range(3)), key=address_of))
        for wallet in (self.operator, self.poster):
            self.anvil.fund(wallet.address, 10**24)
        self.params = exchange_params(self.preset, self.market.parameters)
        self.deployment = self._deploy()
        self.client = RollupClient(self.anvil.rpc, self.deployment)
        self._parent = self.client.header_hash(0)
        if self.data is Data.COMMITTEE:  # one member is a real one, with its own storage; the others only sign
            store = MemberStore(self.folder.parent / "member.sqlite", self.deployment.chain_id, self.deployment.rollup)
            self.member = Member(self.deployment, self.preset, self.params, store, self.members[0], HeadersOnLayer1(self.anvil.rpc, self.deployment))
        self._open_exchange()

    # ---- the operator's part

    def _deploy(self) -> Deployment:
        """With a batch verifier that takes a hash for a proof, unless proofs are real."""
        if self.batches:
            return deploy(self.anvil.rpc, self._sender(self.operator), CircuitKeys(self.batches[0], *self.keys), self._config())
        rpc, made = self.anvil.rpc, _Deployer(self.anvil.rpc, self._sender(self.operator))
        start = rpc.block_number() + 1
        token, batch_verifier = made.create("TestUSDC"), self._sender(self.operator).deploy(load_path(MOCK_VERIFIER)).contract_address
        assert batch_verifier is not None
        exit_key, solvency_key = self.keys
        exit_verifier, solvency_verifier = made.verifier(exit_key.key), made.verifier(solvency_key.key)
        vault = made.create("Vault", token)
        config = self._config()
        # One under every policy, so that all rollups have one address: what is claimed of equal states is then one statement, and is proved once.
        committee = made.create("Committee", [wallet.address for wallet in self.members], 6)
        committee = committee if self.data is Data.COMMITTEE else ""
        exits_address = made.address_after(1)
        rollup = made.create("Rollup", constructor_struct(config, vault, batch_verifier, committee, exits_address))
        assert made.create("Exits", rollup, exit_verifier, exit_key.body_cells) == exits_address
        sizes = (solvency_key.chunk_exponent, solvency_key.body_cells)
        solvency = StatementContract(made.create("Solvency", rollup, solvency_verifier, *sizes), solvency_verifier, b"", *sizes)
        exits = StatementContract(exits_address, exit_verifier, b"", 0, exit_key.body_cells)
        record = Deployment(rpc.chain_id(), start, token, vault, batch_verifier, rollup, b"", config, exits_address, committee, exits, solvency)
        return read_deployment(rpc, rollup, record)

    def _config(self) -> RollupConfig:
        optimistic = self.proofs is Proofs.WHEN_CHALLENGED
        stakes = (10**17, 10**17, 3_600, 60) if optimistic else (0, 0, 0, 0)
        members = tuple(wallet.address for wallet in self.members) if self.data is Data.COMMITTEE else ()
        committed = CommittedState.genesis(self.params, address_of(self.operator))
        return RollupConfig(
            sequencer=self.poster.address,
            operator=self.operator.address,
            oracles=tuple(wallet.address for wallet in self.oracles),
            threshold=2,
            genesis_root=committed.root,
            params_hash=committed.parts.params_hash,
            account_depth=self.preset.account_depth,
            queue_rows=self.preset.queue,
            withdrawal_rows=self.preset.withdrawals,
            body_cells=self.preset.body_words,
            proofs=self.proofs,
            data=self.data,
            members=members,
            member_threshold=6 if members else 0,
            **dict(zip(("proposer_bond_wei", "challenger_bond_wei", "challenge_window_s", "proving_allowance_s"), stakes, strict=True)),
        )

    def _open_exchange(self) -> None:
        identity = LogIdentity(self.deployment.chain_id, self.deployment.rollup_number)
        self.domain = messages.domain(identity.chain_id, identity.rollup)
        engine, committed = genesis(self.preset, self.params, self.market.parameters.fees, self.domain, address_of(self.operator))
        oracle = OracleReplay(self.market, identity, tuple(bytes(wallet.key) for wallet in self.oracles[:2]))
        self.sequencer = Sequencer(
            engine,
            committed,
            Journal(self.folder / "journal.sqlite", identity),
            self.poster,
            clock_ms=lambda: engine.table.time_ms if engine.table else 1,
            inclusion_ms=600_000,
            on_batch=self._post,
            on_logged=oracle.record,
        )
        self.session = MarketSession(self.sequencer, oracle, self._publish)

    def open(self) -> None:
        """List the perpetual, a future and options that outlive a freeze; the first table."""
        recording, start = self.market.path.recording, self.market.path.start_ms
        expiry = min(option.expiry_ms for option in recording.options if option.expiry_ms > start + HORIZON_MS)
        options = [option for option in recording.options if option.expiry_ms == expiry]
        near = sorted(options, key=lambda option: abs(option.strike_ticks - option.underlying_ticks))[: self.preset.instruments - 2]
        listed = [instrument for instrument, _ in list_chain(recording, near, futures=True).values()]
        self.session.list_instruments(listed)
        self.tick()
        self.options = [instrument.id for instrument in listed if not instrument.linear]
        self.linear = [instrument.id for instrument in listed if instrument.kind in (Kind.FUTURE, Kind.PERPETUAL)]

    def tick(self) -> None:
        """A new table, if the newest is old by layer 1's clock."""
        now, table = self.anvil.time_s(), self.session.exchange.table
        if table is None or now * 1000 > table.time_ms + EPOCH_S * 1000:
            self.session.open_epoch(max(now * 1000, self.market.path.start_ms))

    def answer(self) -> None:
        """What layer 1 queued goes into the exchange."""
        for command in queue_commands(read_history(self.anvil.rpc, self.deployment).queue)[self.session.exchange.queue_pointer :]:
            self.do(command)
            self.tick()
        self.session.finish_batch()

    def do(self, command: Command) -> None:
        """A command that must be accepted."""
        answer = self.sequencer.submit(command)
        assert not isinstance(answer, Rejection), (command, answer)

    def _publish(self, signed: SignedEpoch) -> None:
        self.epochs.append(signed)
        self.submit(signed)

    def submit(self, signed: SignedEpoch) -> None:
        """Record an epoch on layer 1, once its time has come there: anyone may."""
        self.anvil.set_time_at_least(-(-signed.time_ms // 1000) + 1)
        sender = self._sender(self.operator)
        self.client.submit_epoch(sender, signed.epoch, signed.time_ms, signed.risk_root, signed.inputs, signed.signatures)

    def _post(self, closed: ClosedBatch) -> None:
        facts = ChainFacts(self.deployment.chain_id, self.deployment.rollup_number, self.deployment.vk_id, self._parent, 0xBE, self.data)
        posted = post_change(closed.change, closed.batch, self.params, self.preset, HeaderFacts(self.domain, closed.log_root), facts)
        self._propose(posted)
        self.posted += 1
        self._parent = posted.header_hash

    def _propose(self, posted: PostedBatch) -> None:
        sender, public = self._sender(self.poster), posted.witness.public
        certificates: Sequence[bytes] = ()
        if self.data is Data.COMMITTEE:
            _, first = self.member.certify(self._offer(posted))
            digest = certificate_digest(self.deployment.chain_id, self.deployment.rollup_number, posted.effects.batch_number, posted.header_hash)
            certificates = [first, *(sign_digest(wallet, digest) for wallet in self.members[1:6])]
        PosterChain(self.client, sender, archive=self.archive).propose(posted, certificates).landed()
        if self.proofs is Proofs.ALWAYS and self.prove:
            words = (public.c, public.z, public.y_effects, public.y_body, public.beneficiary)
            self.client.prove(sender, posted, self.batches[1].prove(posted.witness).proof if self.batches else HashProof.of(words))

    def _offer(self, posted: PostedBatch) -> Offer:
        """The batch as members of the committee are given it."""
        number, epoch = posted.effects.batch_number, next(item for item in self.epochs if item.epoch == posted.effects.epoch)
        digest = offer_digest(self.deployment.chain_id, self.deployment.rollup_number, number, posted.header_hash)
        signature = sign_digest(self.poster, digest)
        return Offer(number, self._parent, self.data, posted.effects_words, posted.body_words, epoch.inputs, signature)

    # ---- traders

    def join(self, dollars: int) -> Trader:
        """A trader deposits and sets a key on layer 1."""
        trader = Trader.create(7, f"trader-{len(self.traders)}", self.domain)
        sender = self.sender_of(trader)
        self.client.mint(self._sender(self.operator), trader.wallet.address, dollars * DOLLARS)
        trader.account = self.client.deposit(sender, dollars * DOLLARS).account
        self.client.set_key(sender, trader.account, trader.key.public, trader.key.base)
        self.traders.append(trader)
        return trader

    def insure(self, dollars: int) -> None:
        """The operator pays into the insurance fund."""
        sender = self._sender(self.operator)
        self.client.mint(sender, self.operator.address, dollars * DOLLARS)
        self.client.deposit(sender, dollars * DOLLARS, INSURANCE_ACCOUNT)

    def trade(self, buyer: Trader, seller: Trader, instrument: int, lots: int) -> None:
        """At the mark, rounded down to a tick."""
        self.tick()
        table, terms = self.session.table, self.session.instruments[instrument]
        price = max(1, table[instrument].mark // terms.tick_ticks) * terms.tick_ticks
        for trader, side in ((seller, Side.SELL), (buyer, Side.BUY)):
            order = outright(trader.next_nonce, 0, table.time_ms + 60_000, lots * terms.min_lots, price, instrument, side, 10_000)
            self.do(trader.sign_orders([order]))

    def sender_of(self, trader: Trader) -> Sender:
        """The trader's own wallet, with ether."""
        self.anvil.fund(trader.wallet.address)
        return self._sender(trader.wallet)

    # ---- the end

    def desert(self) -> None:
        """The operator is gone, and all that it had."""
        self.session.finish_batch()
        self.sequencer.close()
        shutil.rmtree(self.folder)
        del self.session, self.sequencer

    def sign_marks(self, time_ms: int, change_bps: int) -> SignedEpoch:
        """The oracles' next table: everything that moves has moved by so much since the last one."""
        last = decode_inputs(self.epochs[-1].inputs)
        index = _moved(last.index_ticks, change_bps)
        inputs = replace(
            last,
            epoch=last.epoch + 1,
            time_ms=time_ms,
            index_ticks=index,
            scale_ppm=max(last.scale_ppm, target_scale_ppm(last.hours, index, self.market.parameters.risk)),
            perpetual_mark_ticks=_moved(last.perpetual_mark_ticks, change_bps),
            forwards=tuple((expiry, _moved(ticks, change_bps)) for expiry, ticks in last.forwards),
        )
        signed = self.signed(inputs, self.final_listings_root)
        self.epochs.append(signed)
        return signed

    def sign_successor(self) -> SignedEpoch:
        """The oracles' next table by layer 1's clock, as they owe it to the last one; prices stand still."""
        last, now, parameters = decode_inputs(self.epochs[-1].inputs), 1000 * self.anvil.time_s(), self.market.parameters.risk
        (funding, remainder), (hours, scale) = accrue(last, now, parameters), next_scaling(last, now, last.index_ticks, parameters)
        kept = {"cumulative_funding": funding, "funding_remainder": remainder, "hours": hours, "scale_ppm": scale}
        self.epochs.append(self.signed(replace(last, epoch=last.epoch + 1, time_ms=now, **kept), self.final_listings_root))
        return self.epochs[-1]

    def signed(self, inputs: RiskInputs, listings_root: int) -> SignedEpoch:
        """What the oracles sign for inputs over the listings of this exchange."""
        table = build_table(inputs, self.listed, self.market.parameters.risk, {})
        root, encoded = risk_root(listings_root, table.rows), encode_inputs(inputs)
        it = self.deployment
        message = EpochMessage(it.chain_id, it.rollup_number, inputs.epoch, inputs.time_ms, it.config.params_hash, root, encoded)
        secrets = [bytes(wallet.key) for wallet in self.oracles[:2]]
        return SignedEpoch(inputs.epoch, inputs.time_ms, root, encoded, tuple(item.to_bytes() for item in sign_epoch(message, secrets)))

    def remember_listings(self) -> None:
        """What the oracles know too: the listed instruments and the chain's root."""
        committed = self.sequencer.committed
        self.listed, self.final_listings_root = committed.listed.tabled, committed.listings_root

    def _sender(self, wallet: LocalAccount) -> Sender:
        return Sender(self.anvil.rpc, bytes(wallet.key))

    def stranger(self, name: str = "stranger") -> Sender:
        """Somebody with ether and nothing else."""
        wallet = EthereumAccount.from_key(keccak(name.encode()))
        self.anvil.fund(wallet.address)
        return self._sender(wallet)

    def pass_days(self, days: float) -> None:
        """Layer 1's clock."""
        self.anvil.set_time(self.anvil.time_s() + int(days * DAY_S))


@dataclass(frozen=True)
class HashProof:
    """What MockVerifier takes for a proof."""

    words: tuple[int, ...]
    public: tuple[int, ...]

    @classmethod
    def of(cls, public: tuple[int, ...]) -> HashProof:
        return cls((int.from_bytes(keccak(encode(["uint256[5]"], [public])), "big"), *[0] * 11), public)


def _moved(ticks: int, change_bps: int) -> int:
    return max(1, ticks * (10_000 + change_bps) // 10_000)


def trade_all(rollup: Deserted) -> None:
    """Every trader buys an option of the next one, and goes long or short of a future or the perpetual."""
    traders = rollup.traders
    for i, trader in enumerate(traders):
        other = traders[(i + 1) % len(traders)]
        rollup.trade(trader, other, rollup.options[i % len(rollup.options)], 2)
        rollup.trade(trader, other, rollup.linear[i % 2], 3)


def begun(rollup: Deserted, accounts: int, dollars: int = 2_000, *, few_batches: bool = False) -> None:
    """Traders with positions, the last of them thin: it has bet nearly all it has on a rise; the insurance fund has money.

    `few_batches`: two, where each is proved; only the last and the first of the traders have positions.
    """
    rollup.insure(100)
    for _ in range(accounts - 1):
        rollup.join(dollars)
    thin, rich = rollup.join(600), rollup.traders[0]
    rollup.open()
    rollup.answer()
    if few_batches:
        rollup.trade(thin, rich, rollup.options[0], 2)
    else:
        trade_all(rollup)
    lots = 0
    while rollup.session.free_margin(thin.account) > 100 * DOLLARS and lots < 40:
        rollup.trade(thin, rich, rollup.linear[1], 12 if few_batches else 5)
        lots += 1
    assert lots
    rollup.session.finish_batch()
    rollup.remember_listings()


@contextmanager
def deserted(market: RecordedMarket, folder: Path, keys: tuple[StatementKey, StatementKey], **choices: object) -> Iterator[Deserted]:
    """On an anvil of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with Anvil(market.path.start_ms // 1000 - LEAD_S) as anvil:
        yield Deserted(anvil, market, folder, keys, **choices)  # type: ignore[arg-type]


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """An application on a free port; its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
