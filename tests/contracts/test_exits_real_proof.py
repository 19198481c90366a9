"""Real proofs of the exit and the solvency circuit (nano) on layer 1: accounts with positions leave a frozen rollup, and a living one is shown solvent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from support.holdings import Portfolio, state_of
from support.market import CALL, PERPETUAL, PUT, table

from straddle.commitments.chunk import open_chunk
from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.commitments.risk import risk_root
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable
from straddle.l1.contracts import contracts_directory, load, load_path
from straddle.l1.deploying import created_address
from straddle.proving.holdings import HoldingsFacts, PostedHoldings, post_holdings
from straddle.proving.presets import load_holdings_preset, load_preset
from straddle.proving.prover import Prover, ProverError, find_binary

pytestmark = pytest.mark.slow

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
OWNERS = {account: "0x" + f"{0xA000 + account:040x}" for account in range(3, 7)}
CALLER, BENEFICIARY, DEPLOYER = ("0x" + f"{n:040x}" for n in (0xCA11, 0xBE4EF, 0xDE2))
USDC = 1_000_000
DAY_S = 86_400
CASH = {3: 40 * USDC, 4: 30 * USDC, 5: 20 * USDC, 6: 10 * USDC}
HELD = {3: {CALL: 30, PERPETUAL: -7}, 4: {CALL: -30, PUT: 11}, 5: {PUT: -11, PERPETUAL: 7}}


@pytest.fixture(scope="module")
def prover() -> Prover:
    if find_binary() is None:
        pytest.skip("straddle-prover is not built (make setup): no real proof was tried")
    return Prover()


@dataclass
class Stage:
    """A rollup whose final state has four accounts with cash and positions. The batch proof is mocked, what is proved of the accounts is not."""

    chain: object
    exchange: object
    prover: Prover
    state: CommittedState
    table: RiskTable
    exits: object
    solvency: object

    def post(self, kind: str, chunk: int, table: RiskTable | None = None) -> tuple[PostedHoldings, tuple]:
        """A chunk's words, and what a call takes."""
        key = self.prover.setup(f"nano-{kind}")
        preset = load_holdings_preset("nano", kind)
        facts = HoldingsFacts(self.chain.chain_id, int(self.exchange.rollup.address, 16), key.id, int(BENEFICIARY, 16))
        posted = post_holdings(open_chunk(self.state, chunk, preset.chunk_bits), table or self.table, preset, self.exchange.read("domain"), facts)
        proof = self.prover.prove(posted.witness).proof
        effects, body = (b"".join(word.to_bytes(32, "big") for word in words) for words in (posted.effects_words, posted.body_words))
        return posted, (effects, body, proof.public[0], list(proof.words), BENEFICIARY)

    def submit(self, table: RiskTable) -> None:
        self.exchange.submit_epoch(epoch=table.epoch, time_ms=table.time_ms, risk_root=risk_root(self.state.listed.root, table.rows))

    def send(self, target, function: str, *args):
        return self.chain.send(CALLER, target, function, *args)


def verifier_of(chain, prover: Prover, circuit: str):
    key = prover.setup(circuit)
    return chain.deploy(load("Groth16Verifier"), key.alpha, key.beta, key.gamma, key.delta, key.k, key.pedersen_g, key.pedersen_g_sigma_neg)


@pytest.fixture
def stage(chain, new_exchange, prover) -> Stage:
    preset = load_preset("nano")
    params = Params(preset.account_depth, preset.slot_depth, 10_000, 8_000, risk_digest=7)
    state = state_of({account: Portfolio(cash, HELD.get(account, {}), int(OWNERS[account], 16)) for account, cash in CASH.items()}, params, batch_number=1)
    exchange = new_exchange(chain, exits=created_address(DEPLOYER, 0), params_hash=params_hash(params), size="nano")
    contracts = {}
    for name, kind in (("Exits", "exit"), ("Solvency", "solvency")):
        sizes = load_holdings_preset("nano", kind)
        arguments = (sizes.body_words,) if name == "Exits" else (sizes.chunk_bits, sizes.body_words)
        verifier = verifier_of(chain, prover, sizes.name)
        path = contracts_directory() / f"{name}.vy"
        contracts[kind] = chain.deploy(load_path(path), exchange.rollup.address, verifier.address, *arguments, sender=DEPLOYER)
    chain.fund(CALLER)
    for account, owner in OWNERS.items():
        exchange.deposit(owner, CASH[account])
    stage = Stage(chain, exchange, prover, state, replace(table(), time_ms=chain.time_s * 1000), contracts["exit"], contracts["solvency"])
    stage.submit(stage.table)
    exchange.propose_and_prove(exchange.batch(new_root=state.root))
    return stage


def equity(stage: Stage, account: int, table: RiskTable) -> int:
    return CASH[account] + sum(size * table[instrument].value for instrument, size in HELD.get(account, {}).items())


def test_accounts_with_positions_leave(stage):
    chain, x, exits = stage.chain, stage.exchange, stage.exits
    x.deposit(OWNERS[3], 2 * USDC, 3)
    chain.warp(10 * DAY_S + 1)
    x.send(CALLER, "freeze")
    stage.send(exits, "open")
    marks = replace(table(epoch=5, row_1={"value": 31_000}, row_2={"value": 9_000}), time_ms=chain.time_s * 1000)
    stage.submit(marks)
    said = {account: stage.post("exit", account, marks)[1] for account in CASH}
    stage.send(exits, "set_marks", 5, marks.time_ms, *said[3])
    chain.warp(3 * DAY_S + 1)

    # Nothing but this proof of these words, for this beneficiary, is accepted.
    effects, body, c, words, beneficiary = said[4]
    wrong = {
        "another account's proof": (effects, body, c, said[3][3], beneficiary),
        "another beneficiary": (effects, body, c, words, CALLER),
        "another claim": (effects[:-32] + (int.from_bytes(effects[-32:], "big") + (1 << 160)).to_bytes(32, "big"), body, c, words, beneficiary),
        "another body": (effects, bytes(32) + body[32:], c, words, beneficiary),
        "another commitment": (effects, body, (c + 1) % R, words, beneficiary),
    }
    for what, arguments in wrong.items():
        with pytest.raises(Exception, match=r"^Statement: invalid proof$"):
            stage.send(exits, "claim", *arguments)
            raise AssertionError(what)

    for account, arguments in said.items():
        claimed = stage.send(exits, "claim", *arguments).log("Claimed")
        assert claimed == {"account": account, "owner": OWNERS[account], "amount": equity(stage, account, marks)}
    assert chain.call(exits, "total_claims") == sum(CASH.values())
    chain.warp(14 * DAY_S)
    stage.send(exits, "count_deposits", x.queue[4:])
    for account in CASH:
        stage.send(exits, "collect", account)
        assert chain.call(x.vault, "claimable", OWNERS[account]) == equity(stage, account, marks)
    stage.send(exits, "reclaim", 4, x.queue[4])
    assert chain.call(x.vault, "rows", x.rollup.address) == 0


def test_a_table_of_other_listings_cannot_become_the_marks(stage):
    """Its risk root was signed, but nothing can be proved on it for the final state."""
    chain, x = stage.chain, stage.exchange
    x.deposit(OWNERS[3], 2 * USDC, 3)
    chain.warp(10 * DAY_S + 1)
    x.send(CALLER, "freeze")
    stage.send(stage.exits, "open")
    time_ms = chain.time_s * 1000
    foreign = risk_root(stage.state.listed.root + 1, stage.table.rows)
    x.submit_epoch(epoch=6, time_ms=time_ms, risk_root=foreign)
    effects, *rest = stage.post("exit", 3)[1]
    with pytest.raises(Exception, match=r"^Statement: invalid proof$"):
        stage.send(stage.exits, "set_marks", 6, time_ms, effects[:64] + foreign.to_bytes(32, "big") + effects[96:], *rest)
    # The circuit refuses what layer 1 would need.
    posted, _ = stage.post("exit", 3)
    changed = replace(posted.witness, header=replace(posted.witness.header, risk_root=foreign))
    with pytest.raises(ProverError):
        stage.prover.prove(changed)


def test_a_rollup_is_shown_solvent(stage):
    x = stage.exchange
    x.deposit(OWNERS[3], 2 * USDC, 3)
    stage.send(stage.solvency, "begin", stage.table.epoch, stage.table.time_ms, risk_root(stage.state.listed.root, stage.table.rows))
    stage.send(stage.solvency, "publish", *stage.post("solvency", 0)[1])
    stage.send(stage.solvency, "count_deposits", x.queue[4:])
    shown = stage.send(stage.solvency, "conclude").log("Solvent")
    assert (shown["liabilities"], shown["below"], shown["fund"]) == (sum(CASH.values()), 0, 0)


def test_a_state_that_lacks_money_is_not_solvent(stage):
    """The proof holds, the row does not cover what it says."""
    x = stage.exchange
    x.submit_epoch(epoch=2, risk_root=stage.exchange.risk_root)
    x.propose_and_prove(x.batch(new_root=stage.state.root, withdrawals=[(3, OWNERS[3], 1)]))
    stage.send(stage.solvency, "begin", 2, x.time_ms, x.risk_root)
    stage.send(stage.solvency, "publish", *stage.post("solvency", 0)[1])
    with pytest.raises(Exception, match=r"^Solvency: equities and unanswered deposits are not the row$"):
        stage.send(stage.solvency, "conclude")
