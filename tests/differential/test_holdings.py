"""Random chunks of accounts, honest and changed, made consistent again as far as a cheating prover can: checker and circuit must agree on every one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from support.holdings import DOMAIN, FACTS, Portfolio, random_state, random_table, state_of
from support.market import CALL, PERPETUAL, PUT, table

from straddle.commitments.accounts import positions_digest
from straddle.commitments.challenge import evaluate
from straddle.commitments.chunk import open_chunk, subtree_root
from straddle.commitments.holdings import Holdings, HoldingsPreset, challenge, commitment, encode_body, encode_effects
from straddle.commitments.layout import DataError
from straddle.commitments.risk import risk_root
from straddle.primitives.merkle import SparseMerkleTree
from straddle.proving.checker_positions import risk_row_of
from straddle.proving.holdings import HeldPosition, HoldingsWitness, bind_holdings, post_holdings
from straddle.proving.holdings_checker import _holdings, check_holdings
from straddle.proving.presets import load_holdings_preset
from straddle.proving.prover import Prover
from straddle.proving.witness import PublicInputs

EXIT, SOLVENCY = load_holdings_preset("nano", "exit"), load_holdings_preset("nano", "solvency")
CHANGED = 160


def honest(random: Random, preset: HoldingsPreset) -> HoldingsWitness:
    """A chunk that fits the preset, of a state some of whose accounts owe or are short of margin."""
    while True:
        state, marks = random_state(random, random.randint(2, 7)), random_table(random)
        chunk = random.choice([0, 0, 1, preset.chunks - 1]) if preset.chunk_bits else random.choice([0, 1, 2, 3, 4, 5, 200, 255])
        opening = open_chunk(state, chunk, preset.chunk_bits)
        if sum(map(len, opening.positions.values())) <= preset.positions:
            return post_holdings(opening, marks, preset, DOMAIN, FACTS).witness


def rerooted(witness: HoldingsWitness) -> HoldingsWitness:
    """With the roots that its leaves and its table have: what a prover with a state of his own would claim."""
    head = witness.header
    accounts_root = SparseMerkleTree.fold(subtree_root([leaf.hash for leaf in witness.accounts]), head.chunk, witness.path)
    root = risk_root(head.listings_root, [risk_row_of(row) for row in witness.instruments])
    return replace(witness, header=replace(head, accounts_root=accounts_root, risk_root=root))


def redigested(witness: HoldingsWitness) -> HoldingsWitness:
    """With the digests that its rows have."""
    leaves = []
    for account, leaf in enumerate(witness.accounts, witness.first_account):
        held = {row.instrument: row.size for row in witness.positions if row.account == account}
        leaves.append(leaf._replace(positions_digest=positions_digest(held)))
    return replace(witness, accounts=tuple(leaves))


def rebound(witness: HoldingsWitness, preset: HoldingsPreset) -> HoldingsWitness:
    """Bound to what its own rows amount to."""
    return bind_holdings(witness, _holdings(witness, preset), preset, FACTS).witness


def change(random: Random, witness: HoldingsWitness) -> HoldingsWitness:
    """One change anywhere."""
    kind = random.choice(["header", "leaf", "position", "drop", "add", "instrument", "path", "public", "swap", "size", "cash"])
    rows, leaves = list(witness.positions), list(witness.accounts)
    if kind == "header":
        return replace(witness, header=_nudged(random, witness.header))
    if kind in ("leaf", "cash"):
        at = random.randrange(len(leaves))
        name = "cash" if kind == "cash" else random.choice(leaves[at]._fields)
        leaves[at] = leaves[at]._replace(**{name: _near(random, getattr(leaves[at], name), small=name == "cash")})
        return replace(witness, accounts=tuple(leaves))
    if kind == "swap" and len(leaves) > 1:
        one, other = random.sample(range(len(leaves)), 2)
        leaves[one], leaves[other] = leaves[other], leaves[one]
        return replace(witness, accounts=tuple(leaves))
    if kind == "path":
        path = list(witness.path)
        path[random.randrange(len(path))] ^= 1
        return replace(witness, path=tuple(path))
    if kind == "public":
        return replace(witness, public=_nudged(random, witness.public))
    if kind == "instrument":
        table_rows = list(witness.instruments)
        at = random.randrange(len(table_rows))
        table_rows[at] = _nudged(random, table_rows[at], avoid=("deltas",))
        return replace(witness, instruments=tuple(table_rows))
    if kind == "add" or not rows:
        account = witness.first_account + random.randrange(len(leaves))
        rows.append(HeldPosition(account, random.choice([CALL, PUT, PERPETUAL, 9]), random.choice([-3, 0, 5])))
        rows.sort(key=lambda row: (row.account, row.instrument))
    elif kind == "drop":
        rows.pop(random.randrange(len(rows)))
    else:
        at = random.randrange(len(rows))
        name = "size" if kind == "size" else random.choice(["account", "instrument", "size"])
        rows[at] = replace(rows[at], **{name: _near(random, getattr(rows[at], name), small=True)})
    return replace(witness, positions=tuple(rows))


def _nudged(random: Random, row: Any, avoid: tuple[str, ...] = ()) -> Any:
    name = random.choice([name for name in row.__slots__ if name not in avoid])
    return replace(row, **{name: _near(random, getattr(row, name), small=True)})


def _near(random: Random, value: int, *, small: bool) -> int:
    if small:
        return value + random.choice([-1, 1, random.randint(-1_000, 1_000) or 1])
    return abs(value) ^ 1 << random.randrange(40)


MENDED: tuple[Callable[[HoldingsWitness, HoldingsPreset], HoldingsWitness], ...] = (
    lambda witness, preset: witness,
    lambda witness, preset: rebound(witness, preset),
    lambda witness, preset: rebound(rerooted(witness), preset),
    lambda witness, preset: rebound(rerooted(redigested(witness)), preset),
    lambda witness, preset: rebound(rerooted(redigested(witness)), preset),
)


def changed(count: int, preset: HoldingsPreset, seed: int) -> list[HoldingsWitness]:
    random, found = Random(seed), []
    while len(found) < count:
        witness = change(random, honest(random, preset))
        try:
            found.append(random.choice(MENDED)(witness, preset))
        except (ValueError, KeyError):  # nothing to mend it with: it stays as it is
            found.append(witness)
    return found


def agree(prover: Prover, witnesses: list[HoldingsWitness], preset: HoldingsPreset) -> Counter[str]:
    """How often each rule was the first to break; both sides must say the same of each."""
    rules = Counter[str]()
    for witness, result in zip(witnesses, prover.check_many(witnesses), strict=True):
        failure = check_holdings(witness, preset)
        assert (failure is None) == result.ok and result.solver in (result.ok, None), (failure, result, witness)
        rules["accepted" if failure is None else failure.rule] += 1
    return rules


@pytest.mark.parametrize("preset", [EXIT, SOLVENCY], ids=lambda preset: preset.name)
def test_checker_and_circuit_take_honest_chunks(prover: Prover, preset: HoldingsPreset) -> None:
    random = Random(5)
    assert agree(prover, [honest(random, preset) for _ in range(25)], preset) == {"accepted": 25}


@pytest.mark.slow
@pytest.mark.parametrize("preset", [EXIT, SOLVENCY], ids=lambda preset: preset.name)
def test_checker_and_circuit_agree_on_changed_chunks(prover: Prover, preset: HoldingsPreset) -> None:
    rules = agree(prover, changed(CHANGED, preset, 11), preset)
    assert 0.05 < rules["accepted"] / CHANGED < 0.7, rules
    assert {"accounts.2", "positions.3", "instruments", "vector"} <= rules.keys(), rules


LIES: dict[str, Callable[[Holdings], dict[str, Any]]] = {
    "a claim too high": lambda it: {"lines": (*it.lines[:-1], it.lines[-1]._replace(claim=it.lines[-1].claim + 1)), "claims": it.claims + 1},
    "a claim too low": lambda it: {"lines": (*it.lines[:-1], it.lines[-1]._replace(claim=it.lines[-1].claim - 1)), "claims": it.claims - 1},
    "a hidden debt": lambda it: {"debts": 0},
    "an account too few below margin": lambda it: {"below": it.below - 1},
    "less lacking": lambda it: {"lacking_scaled": it.lacking_scaled - 1},
    "a line left out": lambda it: {"lines": it.lines[1:]},
    "another owner": lambda it: {"lines": (*it.lines[:-1], it.lines[-1]._replace(owner=0xE71))},
    "more cash": lambda it: {"cash": it.cash + 1},
    "a net hidden": lambda it: {"nets": (0,) * len(it.nets)},
    "a net invented": lambda it: {"nets": (it.nets[0] + 1, *it.nets[1:])},
    "another fund": lambda it: {"fund_equity": (it.fund_equity or 0) + 1},
    "another state": lambda it: {"state_root": it.state_root ^ 1},
    "another domain": lambda it: {"domain": it.domain ^ 1},
}


def test_no_lie_about_honest_rows_is_proved(prover: Prover) -> None:
    """A hidden liability, a line left out, a net hidden: words other than the rows', bound as a cheating prover would bind them."""
    portfolios = {3: Portfolio(-5_000_000, {CALL: -30}), 4: Portfolio(100_000, {CALL: 40, PERPETUAL: -40}), 5: Portfolio(10**9, {PUT: 5, PERPETUAL: 40})}
    posted = post_holdings(open_chunk(state_of(portfolios), 0, SOLVENCY.chunk_bits), table(), SOLVENCY, DOMAIN, FACTS)
    assert posted.holdings.below == 2 and posted.holdings.debts > 0
    lies = {}
    for name, lie in LIES.items():
        holdings = replace(posted.holdings, **lie(posted.holdings))
        lies[name] = bind_holdings(posted.witness, holdings, SOLVENCY, FACTS).witness
    results = dict(zip([*lies, "honest"], prover.check_many([*lies.values(), posted.witness]), strict=True))
    assert results.pop("honest").ok
    accepted = [name for name, result in results.items() if result.ok or result.solver or check_holdings(lies[name], SOLVENCY) is None]
    assert accepted == []


@pytest.mark.slow
def test_values_at_the_edges(prover: Prover) -> None:
    """Cash at its bounds, equity of exactly 0 and of exactly MM, claims that fill their word and one too large."""
    at_margin, mm = state_of({3: Portfolio(0, {CALL: -10})}), None
    for cash in (2**63 - 1, 1 - 2**63, 0, 1, -1):
        agree(prover, [post_holdings(open_chunk(state_of({3: Portfolio(cash)}), 3, 0), table(), EXIT, DOMAIN, FACTS).witness], EXIT)
    requirement = post_holdings(open_chunk(at_margin, 3, 0), table(), EXIT, DOMAIN, FACTS).holdings
    mm = requirement.lacking_scaled  # 10^4 (MM - equity) at no cash
    exact = -(-mm // 10_000)
    for cash, below in ((exact, 0), (exact - 1, 1)):
        posted = post_holdings(open_chunk(state_of({3: Portfolio(cash, {CALL: -10})}), 3, 0), table(), EXIT, DOMAIN, FACTS)
        assert posted.holdings.below == below
        assert agree(prover, [posted.witness], EXIT) == {"accepted": 1}
    rich = {"row_3": {"value": 2**39 - 1}}
    fits = (2**64 - 1 - (2**63 - 1)) // (2**39 - 1)
    posted = post_holdings(open_chunk(state_of({3: Portfolio(2**63 - 1, {PERPETUAL: fits})}), 3, 0), table(**rich), EXIT, DOMAIN, FACTS)
    assert agree(prover, [posted.witness], EXIT) == {"accepted": 1}
    opening = open_chunk(state_of({3: Portfolio(2**63 - 1, {PERPETUAL: fits + 1})}), 3, 0)
    with pytest.raises(DataError, match="claim"):
        post_holdings(opening, table(**rich), EXIT, DOMAIN, FACTS)


def test_the_public_inputs_are_recomputed(prover: Prover) -> None:
    """Effects bound to another z are another proof's: the circuit takes any z, the contract computes it."""
    posted = post_holdings(open_chunk(state_of({3: Portfolio(7)}), 3, 0), table(), EXIT, DOMAIN, FACTS)
    effects, body = encode_effects(posted.holdings, EXIT), encode_body(posted.holdings.nets, EXIT)
    c = commitment(effects, body)
    z = challenge(1, 2, b"\1" * 32, effects, body, c)
    other = replace(posted.witness, public=PublicInputs(c, z, evaluate(effects, z), evaluate(body, z), 7))
    wrong = replace(posted.witness, public=replace(posted.witness.public, y_body=posted.witness.public.y_body ^ 1))
    assert agree(prover, [other, wrong], EXIT) == {"accepted": 1, "vector": 1}
