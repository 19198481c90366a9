"""What is proved of accounts, chunk by chunk, is what the whole state holds; and the checker refuses every way to hide or invent something."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.holdings import CHUNKS, DOMAIN, EXIT, FACTS, PARAMS, Portfolio, random_state, random_table, state_of
from support.market import CALL, PERPETUAL, PUT, table

from straddle.commitments.chunk import chunks_in_use, open_chunk
from straddle.commitments.holdings import Holdings, HoldingsPreset, decode
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState
from straddle.core.margin import requirement
from straddle.core.risk_table import RiskTable
from straddle.proving.holdings import HoldingsWitness, PostedHoldings, bind_holdings, count_chunk, post_holdings, total
from straddle.proving.holdings_checker import check_holdings
from straddle.proving.witness import WitnessError

seeds = st.integers(0, 2**32)


def post(state: CommittedState, marks: RiskTable, chunk: int, preset: HoldingsPreset = CHUNKS) -> PostedHoldings:
    return post_holdings(open_chunk(state, chunk, preset.chunk_bits), marks, preset, DOMAIN, FACTS)


def all_chunks(state: CommittedState, marks: RiskTable, chunk_bits: int) -> list[Holdings]:
    return [count_chunk(open_chunk(state, chunk, chunk_bits), marks, DOMAIN) for chunk in range(chunks_in_use(state, chunk_bits))]


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 20), st.integers(0, 4))
def test_the_chunks_sum_to_the_state(seed: int, accounts: int, chunk_bits: int) -> None:
    random = Random(seed)
    state, marks = random_state(random, accounts), random_table(random)
    whole = total(all_chunks(state, marks, chunk_bits))
    valued = {id_: requirement(item.account.cash, item.account.positions, marks, PARAMS) for id_, item in state.accounts.items()}
    assert whole.cash == sum(item.account.cash for item in state.accounts.values())
    assert whole.cash == whole.claims - whole.debts  # positions sum to zero, so their values do
    assert whole.claims == sum(max(item.equity, 0) for item in valued.values())
    assert whole.below == sum(10_000 * item.equity < item.mm_scaled for item in valued.values())
    assert whole.lacking_scaled == sum(max(item.mm_scaled - 10_000 * item.equity, 0) for item in valued.values())
    assert whole.fund_equity == valued[2].equity
    assert whole.nets == (0,) * len(marks.rows)
    assert {line.account: (line.owner, line.claim) for line in whole.lines} == {
        id_: (item.account.owner, max(valued[id_].equity, 0)) for id_, item in state.accounts.items()
    }


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_what_is_posted_says_what_was_counted_and_the_checker_takes_it(seed: int) -> None:
    random = Random(seed)
    state, marks = random_state(random, 6), random_table(random)
    for preset, chunk in ((CHUNKS, 0), (CHUNKS, 1), (CHUNKS, 50), (EXIT, 0), (EXIT, 2), (EXIT, 4), (EXIT, 255)):
        posted = post(state, marks, chunk, preset)
        assert decode(posted.effects_words, posted.body_words) == posted.holdings == count_chunk(open_chunk(state, chunk, preset.chunk_bits), marks, DOMAIN)
        assert posted.holdings.state_root == state.root
        assert check_holdings(posted.witness, preset) is None
        assert HoldingsWitness.from_json(posted.witness.to_json()) == posted.witness


def refused(posted: PostedHoldings, rule: str, preset: HoldingsPreset = CHUNKS, **changes: object) -> None:
    """The changed witness, bound to what was said before, breaks this rule."""
    witness = replace(posted.witness, **changes)  # type: ignore[arg-type]
    failure = check_holdings(witness, preset)
    assert failure is not None and failure.rule == rule, failure


@pytest.fixture
def honest() -> PostedHoldings:
    """Account 3 owes, 4 is short of margin, 5 is rich; 6 and 7 do not exist."""
    portfolios = {3: Portfolio(-5_000_000, {CALL: -30}), 4: Portfolio(100_000, {CALL: 30, PERPETUAL: -40}), 5: Portfolio(10**9, {PUT: 5, PERPETUAL: 40})}
    return post(state_of(portfolios | {6: Portfolio(7, {PUT: -5})}), table(), 1)


def said(posted: PostedHoldings, **changes: object) -> PostedHoldings:
    """The same rows, bound to something else that is said of them."""
    return bind_holdings(posted.witness, replace(posted.holdings, **changes), CHUNKS, FACTS)  # type: ignore[arg-type]


def test_a_hidden_liability_is_refused(honest: PostedHoldings) -> None:
    holdings = honest.holdings
    refused(said(honest, claims=holdings.claims - 1), "vector")
    refused(said(honest, cash=holdings.cash + 1), "vector")
    refused(said(honest, debts=holdings.debts - 1), "vector")
    refused(said(honest, below=holdings.below - 1), "vector")
    refused(said(honest, lacking_scaled=holdings.lacking_scaled - 1), "vector")
    refused(said(honest, nets=(1, *holdings.nets[1:])), "vector")
    refused(said(honest, chunk=2, lines=()), "vector")


def test_a_line_left_out_or_changed_is_refused(honest: PostedHoldings) -> None:
    lines = honest.holdings.lines
    assert [line.account for line in lines] == [4, 5, 6]
    refused(said(honest, lines=lines[1:]), "vector")
    refused(said(honest, lines=(lines[0], lines[1]._replace(claim=lines[1].claim - 1), lines[2])), "vector")
    refused(said(honest, lines=(lines[0], lines[1]._replace(owner=0xE51), lines[2])), "vector")


def test_a_missing_or_duplicated_account_is_refused(honest: PostedHoldings) -> None:
    accounts = honest.witness.accounts
    refused(honest, "accounts.2", accounts=(accounts[3], *accounts[1:]))
    refused(honest, "accounts.2", accounts=(accounts[1], accounts[1], *accounts[2:]))
    refused(honest, "accounts.rows", accounts=accounts[:3])
    refused(honest, "accounts.2", header=replace(honest.witness.header, chunk=0))
    refused(honest, "accounts.2", accounts=(accounts[0]._replace(cash=accounts[0].cash + 1), *accounts[1:]))


def test_hidden_and_invented_positions_are_refused(honest: PostedHoldings) -> None:
    rows = honest.witness.positions
    refused(honest, "positions.3", positions=rows[1:])
    refused(honest, "positions.3", positions=(replace(rows[0], size=rows[0].size + 1), *rows[1:]))
    refused(honest, "positions.3", positions=(replace(rows[0], account=3), *rows[1:]))
    refused(honest, "positions.3", positions=(replace(rows[0], size=0), *rows[1:]))
    refused(honest, "positions.3", positions=(*rows, replace(rows[0], account=8)))
    refused(honest, "positions.keys", positions=(rows[1], rows[0], *rows[2:]))
    refused(honest, "positions.keys", positions=(rows[0], *rows))
    refused(honest, "positions.4", positions=(*rows[:-1], replace(rows[-1], instrument=9)))


def test_another_table_or_state_is_refused(honest: PostedHoldings) -> None:
    rows, head = honest.witness.instruments, honest.witness.header
    refused(honest, "instruments", instruments=(replace(rows[0], value=rows[0].value + 1), *rows[1:]))
    refused(honest, "instruments", instruments=rows[:-1])
    refused(honest, "instruments", instruments=(rows[1], rows[0], *rows[2:]))
    refused(honest, "instruments", instruments=(replace(rows[0], linear=2), *rows[1:]))
    refused(honest, "vector", header=replace(head, k_mm_bps=head.k_mm_bps - 1))
    refused(honest, "vector", header=replace(head, batch_number=head.batch_number + 1))
    refused(honest, "header", header=replace(head, queue_pointer=-1))
    refused(honest, "vector", public=replace(honest.witness.public, beneficiary=1 << 160))


def test_a_chunk_that_does_not_fit_is_refused_before_it_is_proved() -> None:
    state = state_of({3: Portfolio(10**9, {CALL: 1, PUT: 1, PERPETUAL: 1})})
    with pytest.raises(WitnessError, match="positions: 3, expected 2 in circuit nano-exit"):
        post(state, table(), 3, replace(EXIT, positions=2))
    with pytest.raises(WitnessError, match="accounts: 1, expected 4 in circuit nano-solvency"):
        post_holdings(open_chunk(state, 3, 0), table(), CHUNKS, DOMAIN, FACTS)
    with pytest.raises(WitnessError, match="account_depth: 8, expected 20"):
        post(state, table(), 3, replace(EXIT, account_depth=20))
    with pytest.raises(WitnessError, match="position of account 3: instrument 3 is not in the risk table of epoch 1"):
        post(state, replace(table(), rows=table().rows[:2]), 3, EXIT)
    with pytest.raises(DataError, match=r"effects\[7\].claim"):
        post(state_of({3: Portfolio(2**63 - 1, {PERPETUAL: 2**40 - 1})}), table(row_3={"value": 2**38}), 3, EXIT)
    with pytest.raises(DataError, match="chunk: 256"):
        open_chunk(state, 256, 0)


def test_parts_of_different_states_do_not_add_up() -> None:
    state, marks = state_of({3: Portfolio(5)}), table()
    parts = all_chunks(state, marks, 1)
    assert total(parts).cash == 5
    with pytest.raises(ValueError, match="chunk 1: expected chunk 0"):
        total(parts[1:])
    with pytest.raises(ValueError, match="chunk 1: expected chunk 1 of state"):
        total([parts[0], replace(parts[1], state_root=3)])


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_an_opening_lies_under_its_root_and_nothing_else_does(seed: int) -> None:
    random = Random(seed)
    state = random_state(random, 5)
    opening = open_chunk(state, random.choice([0, 1]), 2)
    opening.check()
    leaf = opening.leaves[1]
    changed = [
        replace(opening, leaves=(opening.leaves[0], leaf._replace(cash=leaf.cash + 1), *opening.leaves[2:])),
        replace(opening, chunk=opening.chunk ^ 1),
        replace(opening, path=opening.path[::-1]),
        replace(opening, path=opening.path[:-1]),
        replace(opening, positions={**opening.positions, opening.first_account: {CALL: 12345}}),
        replace(opening, positions={**opening.positions, opening.first_account + 4: {CALL: 1}}),
        replace(opening, params=replace(PARAMS, k_mm_bps=1)),
        replace(opening, parts=opening.parts._replace(accounts_root=1)),
    ]
    for other in changed:
        with pytest.raises(DataError):
            other.check()
