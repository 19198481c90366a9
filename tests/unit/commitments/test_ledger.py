"""The committed state, both ways: from a closed batch, and from its layer-1 data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from straddle.commitments.data import AccountData, AuctionCode, Body, Effects, PositionData, SlotData, WithdrawalData
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.core.accounts import Account, Auction, Slot
from straddle.core.batch import OpenBatch, OrderUse
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey, L2Withdraw
from straddle.core.instruments import NEVER_MS, Instrument, Kind, Retirement, Settlement
from straddle.core.orders import OrderSet, Side, Signature, outright
from straddle.core.params import Params
from straddle.primitives.keys import NO_KEY, SecretKey, key_multiple
from straddle.primitives.merkle import SparseMerkleTree

PARAMS = Params(4, 2, 10_000, 8_000, 0)
PERPETUAL = Instrument(1, Kind.PERPETUAL, 1, NEVER_MS, 0, 50, 10, 10**9)
KEY = SecretKey.from_seed(b"maker").public
ANY = Signature(0, 0, 0)
ALICE, BOB = 0xA11CE, 0xB0B


def genesis() -> CommittedState:
    return CommittedState.genesis(PARAMS, operator=0xFEE)


def first_batch() -> OpenBatch:
    """Two deposits, a key, a listing."""
    return OpenBatch(
        number=1, table=None, first_sequence=1, last_sequence=4, queue_pointer=0, listing_count=0,
        start={3: Account(3), 4: Account(4)},
        end={3: Account(3, ALICE, KEY, 1, 1000), 4: Account(4, BOB, cash=500)},
        queue=[L1Deposit(0, 3, ALICE, 1000), L1SetKey(1, 3, ALICE, KEY), L1Deposit(2, 4, BOB, 500)],
        listings=[PERPETUAL],
    )  # fmt: skip


def use(account: int, nonce: int, revision: int, side: Side, fill: int, size: int = 10) -> OrderUse:
    order = outright(nonce, revision, 10**12, size, 5, 1, side, 1)
    return OrderUse(account, order, OrderSet(account, 1, (order,), ANY), 0, Slot(0, 0, 0), fill, 0, 6)


def second_batch(state: CommittedState) -> OpenBatch:
    """4 sells 7 lots at 5 to 3, on two orders of 3 in one slot (an amend); 3 withdraws 100."""
    start = {key: state.account(key).account.copy() for key in (3, 4)}
    end = {key: account.copy() for key, account in start.items()}
    end[3].cash, end[3].positions, end[3].slots, end[3].action_nonce = 1000 - 35 - 100, {1: 7}, {1: Slot(9, 1, 7)}, 2
    end[4].cash, end[4].positions, end[4].slots = 535, {1: -7}, {2: Slot(2, 0, 7)}
    return OpenBatch(
        number=2, table=None, first_sequence=5, last_sequence=8, queue_pointer=3, listing_count=1, start=start, end=end,
        order_uses=[use(4, 2, 0, Side.SELL, 7), use(3, 9, 0, Side.BUY, 4), use(3, 9, 1, Side.BUY, 3)],
        withdrawals={3: L2Withdraw(3, 1, 2, 100, ANY)}, opened={3: None, 4: None},
    )  # fmt: skip


def after(*batches: Callable[[CommittedState], OpenBatch]) -> CommittedState:
    state = genesis()
    for batch in batches:
        state.apply_batch(batch(state))
    return state


def data_of_second() -> tuple[CommittedState, Effects, Body]:
    """The state before the second batch, and what layer 1 holds of it."""
    state = after(lambda _: first_batch())
    done = state.copy()
    change = done.apply_batch(second_batch(state))
    effects = Effects(1, 2, change.before.root, change.after.root, 1, 1, change.after.params_hash, 0, 5, 8, 0, 3, (), (WithdrawalData(3, ALICE, 100),))
    body = Body(
        accounts=(AccountData(3, 865, 0, 2, True, True), AccountData(4, 535, 0, 0, True, True)),
        slots=(SlotData(3, 9, 0, 4, 1), SlotData(3, 9, 1, 7, 1), SlotData(4, 2, 0, 7, 1)),
        positions=(PositionData(3, 1, 7), PositionData(4, 1, -7)),
        listings=(),
    )
    return state, effects, body


def test_a_batch_advances_every_part() -> None:
    state = genesis()
    change = state.apply_batch(first_batch())
    assert change.after == state.parts
    assert (state.batch_number, state.queue_pointer, state.listings) == (1, 3, [PERPETUAL])
    assert state.account(3).multiple == key_multiple(KEY)
    assert state.account(3).leaf.key_epoch == 1
    assert state.account(4).multiple == NO_KEY
    assert [row.id for row in change.accounts] == [3, 4]


def test_openings_chain_from_the_old_to_the_new_root() -> None:
    state = after(lambda _: first_batch())
    change = state.copy().apply_batch(second_batch(state))
    root = change.before.accounts_root
    for row in change.accounts:
        assert SparseMerkleTree.fold(row.old.hash, row.id, row.path) == root
        root = SparseMerkleTree.fold(row.new.hash, row.id, row.path)
    assert root == change.after.accounts_root != change.before.accounts_root
    assert [(item.account, item.step, item.use, item.old, item.new) for item in change.slots] == [
        (3, 0, 1, Slot(0, 0, 0), Slot(9, 0, 4)), (3, 1, 2, Slot(9, 0, 4), Slot(9, 1, 7)), (4, 0, 0, Slot(0, 0, 0), Slot(2, 0, 7)),
    ]  # fmt: skip
    assert change.slots[0].root_new == change.slots[1].root_old
    assert [tuple(row) for row in change.positions] == [(3, 1, 0, 7), (4, 1, 0, -7)]


def test_an_account_that_no_row_names_and_nothing_changed_takes_no_row() -> None:
    state = after(lambda _: first_batch())
    batch = second_batch(state)
    batch.start[1], batch.end[1] = state.account(1).account.copy(), state.account(1).account.copy()
    assert [row.id for row in state.apply_batch(batch).accounts] == [3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 3}, r"batch\.number: 3, expected 2"),
        ({"queue_pointer": 4}, r"batch\.queue_pointer: 4, expected 3"),
        ({"listing_count": 0}, r"batch\.listing_count: 0, expected 1"),
        ({"queue": [L1Deposit(4, 3, ALICE, 1)]}, r"batch\.queue\[0\]\.queue_index: 4, expected 3"),
        ({"queue": [L1Deposit(3, 5, ALICE, 1)]}, "account 5: in the batch's rows but not among its touched accounts"),
        ({"listings": [PERPETUAL]}, r"listings\[0\]\.id: 1, expected 2"),
        ({"end": {}}, r"batch\.end: accounts \[3, 4\]"),
        ({"opened": {3: None}}, "account 4: its positions change but the batch does not open them"),
        ({"listings": [Retirement(2, 1)]}, r"listings\[0\]\.id: 2, expected a listed instrument \(1 to 1\)"),
        ({"order_uses": []}, "account 3: its order uses do not lead to its slots"),
        ({"order_uses": [use(3, 9, 1, Side.BUY, 3), use(3, 9, 0, Side.BUY, 4)]}, "its slot already holds nonce 9 revision 1"),
        ({"order_uses": [use(3, 9, 0, Side.BUY, 11)]}, "11 lots filled, expected at most 10"),
    ],
)
def test_a_batch_that_does_not_continue_is_named_and_changes_nothing(change: dict[str, Any], message: str) -> None:
    state = after(lambda _: first_batch())
    batch, root = second_batch(state), state.root
    for name, value in change.items():
        setattr(batch, name, value)
    with pytest.raises(LedgerError, match=message):
        state.apply_batch(batch)
    assert state.root == root


def test_a_batch_from_other_values_is_refused() -> None:
    state = after(lambda _: first_batch())
    batch = second_batch(state)
    batch.start[3].cash += 1
    with pytest.raises(LedgerError, match="account 3: the batch starts from values that are not the committed ones"):
        state.apply_batch(batch)


def test_copies_are_independent() -> None:
    state = after(lambda _: first_batch())
    copy, root = state.copy(), state.root
    copy.apply_batch(second_batch(copy))
    assert state.root == root != copy.root
    assert state.account(3).account.positions == {}


def test_data_alone_gives_the_same_state() -> None:
    state, effects, body = data_of_second()
    expected = after(lambda _: first_batch(), second_batch)
    change = state.apply_data(effects, body, [])
    assert state.root == expected.root == change.after.root
    assert {key: item.account for key, item in state.accounts.items()} == {key: item.account for key, item in expected.accounts.items()}


def changed_account(index: int, **values: int) -> Callable[[Effects, Body], tuple[Effects, Body]]:
    return lambda e, b: (e, replace(b, accounts=tuple(replace(row, **values) if i == index else row for i, row in enumerate(b.accounts))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, b: (replace(e, batch_number=3), b), r"effects\.batch_number: 3, expected 2"),
        (lambda e, b: (replace(e, old_state_root=1), b), r"effects\.old_state_root: 1"),
        (lambda e, b: (replace(e, params_hash=1), b), r"effects\.params_hash: 1"),
        (lambda e, b: (replace(e, queue_first=4), b), r"effects\.queue_first: 4, expected 3"),
        (lambda e, b: (replace(e, queue=(L1Deposit(3, 3, ALICE, 1),)), b), r"effects\.queue: differs from layer 1's 0 entries"),
        (lambda e, b: (replace(e, new_state_root=1), b), r"effects\.new_state_root: 0x1, rebuilt"),
        (lambda e, b: (replace(e, queue=(L1Deposit(3, 5, ALICE, 1),)), b), r"effects\.queue: differs"),
        (lambda e, b: (e, replace(b, slots=b.slots[:2])), "effects.new_state_root"),
        (lambda e, b: (e, replace(b, slots=(b.slots[1], b.slots[0], b.slots[2]))), "nonce 9 revision 0 filled 4 after nonce 9 revision 1 filled 7"),
        (lambda e, b: (e, replace(b, slots=(replace(b.slots[0], offset=4), *b.slots[1:]))), r"offset: 4, expected at most 3 \(last_sequence"),
        (lambda e, b: (e, replace(b, slots=(b.slots[0], replace(b.slots[1], filled=4), b.slots[2]))), "filled 4 after nonce 9 revision 0 filled 4"),
        (lambda e, b: (e, replace(b, positions=(replace(b.positions[0], row=2), b.positions[1]))), "row 2, expected at most 1"),
        (changed_account(0, auction=AuctionCode.CLOSE_BEGUN), r"account 3 auction: 3 \(forced close\) without a queue entry"),
        (changed_account(0, auction=AuctionCode.BEGUN), r"effects\.new_state_root"),
        (lambda e, b: (e, replace(b, positions=b.positions[:1])), "positions in instrument 1: their sum changes by 7"),
        (changed_account(0, cash=866), "cash of all accounts changes by -99, expected -100"),
        (changed_account(0, min_nonce=1), r"effects\.new_state_root"),
        (changed_account(0, action_nonce=0), "action_nonce: 0, expected more than 0 with a withdrawal"),
        (changed_account(1, action_nonce=1), r"effects\.new_state_root"),
        (changed_account(1, id=16), "account 16: expected less than 16"),
        (lambda e, b: (replace(e, withdrawals=(WithdrawalData(3, BOB, 100),)), b), "owner: 0xb0b, expected the account's owner 0xa11ce"),
        (lambda e, b: (replace(e, withdrawals=(WithdrawalData(5, BOB, 100),)), b), "withdrawal of account 5: the account is missing"),
        (lambda e, b: (e, replace(b, listings=(PERPETUAL,))), r"listings\[0\]\.id: 1, expected 2"),
    ],
)
def test_data_that_does_not_fit_is_named_and_changes_nothing(change: Callable[[Effects, Body], tuple[Effects, Body]], message: str) -> None:
    state, effects, body = data_of_second()
    root, listings = state.root, list(state.listings)
    with pytest.raises(LedgerError, match=message):
        state.apply_data(*change(effects, body), [])
    assert (state.root, state.listings) == (root, listings)
    state.apply_data(effects, body, [])


def test_a_position_left_out_of_the_data_is_named() -> None:
    state = after(lambda _: first_batch(), second_batch)
    state.listed.instruments.append(replace(PERPETUAL, id=2))
    parts = state.parts
    effects = Effects(1, 3, state.root, 0, 1, 1, parts.params_hash, 0, 9, 9, 0, 3, (L1Deposit(3, 3, ALICE, 1),), ())
    body = Body((AccountData(3, 866, 0, 2, True),), (), (PositionData(3, 2, 1),), ())
    with pytest.raises(LedgerError, match="account 3: its position in instrument 1 is missing"):
        state.apply_data(effects, body, effects.queue)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((L1Deposit(3, 3, BOB, 1),), "expected account 3's owner 0xa11ce"),
        ((L1SetKey(3, 3, ALICE, NO_KEY), L1SetKey(4, 3, ALICE, KEY)), "second key of account 3 in one batch"),
    ],
)
def test_queue_entries_that_contradict_the_account_are_named(entries: tuple[Any, ...], message: str) -> None:
    state = after(lambda _: first_batch())
    effects = Effects(1, 2, state.root, 0, 1, 1, state.parts.params_hash, 0, 9, 9, 0, 3, entries, ())
    with pytest.raises(LedgerError, match=message):
        state.apply_data(effects, Body((AccountData(3, 1000, 0, 0),), (), (), ()), entries)


def test_a_revoked_key_has_the_multiple_zero() -> None:
    state = after(lambda _: first_batch())
    start = state.account(3).account.copy()
    end = start.copy()
    end.key, end.key_epoch = NO_KEY, 2
    state.apply_batch(OpenBatch(2, None, 5, 5, 3, 1, {3: start}, queue=[L1SetKey(3, 3, ALICE, NO_KEY)], end={3: end}))
    leaf = state.account(3).leaf
    assert (leaf.key_x, leaf.key_y, leaf.multiple_x, leaf.multiple_y, leaf.key_epoch) == (0, 0, 0, 0, 2)


def third_batch(state: CommittedState) -> OpenBatch:
    """The instrument settles at 6 (nobody checks that it has expired): 3 asks for 50 and is paid 40, 4 asks for a sale; only 3 is opened."""
    start = {key: state.account(key).account.copy() for key in (3, 4)}
    end = {key: account.copy() for key, account in start.items()}
    end[3].cash, end[3].positions = 865 + 7 * 6 - 40, {}
    end[4].auction = Auction(77, True, 900)
    return OpenBatch(
        number=3, table=None, first_sequence=9, last_sequence=9, queue_pointer=3, listing_count=1, start=start, end=end, opened={3: None},
        queue=[L1ForceWithdraw(3, 3, ALICE, 50), L1ForceClose(4, 4, BOB, 900)], forced={3: 40}, listings=[Settlement(1, 1, 6)],
    )  # fmt: skip


def data_of_third() -> tuple[CommittedState, Effects, Body]:
    state = after(lambda _: first_batch(), second_batch)
    batch = third_batch(state)
    change = state.copy().apply_batch(batch)
    assert [tuple(row) for row in change.positions] == [(3, 1, 7, 0)]
    effects = Effects(1, 3, state.root, change.after.root, 1, 77, change.after.params_hash, 0, 9, 9, 0, 3, tuple(batch.queue), (), paid=(40,))
    accounts = (AccountData(3, 867, 0, 2, True), AccountData(4, 535, 0, 0, auction=AuctionCode.CLOSE_BEGUN))
    return state, effects, Body(accounts, (), (PositionData(3, 1, 0),), (Settlement(1, 1, 6),))


def test_settled_positions_vanish_closed_accounts_keep_theirs_and_forced_payments_leave() -> None:
    state, effects, body = data_of_third()
    state.apply_data(effects, body, effects.queue)
    assert state.listed.settled == {1: 6}
    assert (state.account(3).account.positions, state.account(4).account.positions) == ({}, {1: -7})
    assert state.account(4).account.auction == Auction(77, True, 900)
    ended = state.account(4).account.copy()
    ended.auction, ended.cash, ended.positions = None, 535 - 7 * 6, {}
    batch = OpenBatch(4, None, 10, 10, 5, 1, {4: state.account(4).account}, {4: None}, end={4: ended}, listings=[Retirement(1, 1)])
    expected = state.copy()
    change = expected.apply_batch(batch)
    assert expected.listed.tabled == ()
    effects = replace(effects, batch_number=4, old_state_root=state.root, new_state_root=change.after.root, queue_first=5, queue=(), paid=())
    body = Body((AccountData(4, 493, 0, 0, True, auction=AuctionCode.ENDED),), (), (PositionData(4, 1, 0),), ())
    with pytest.raises(LedgerError, match=r"effects\.new_state_root"):  # without the retirement
        state.apply_data(effects, body, [])
    with pytest.raises(LedgerError, match="row 1, expected at most 0"):  # a retired instrument has no row any more
        state.apply_data(effects, replace(body, listings=(Retirement(1, 1),)), [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, b: (replace(e, paid=(41,)), b), "cash of all accounts changes by 2, expected 1"),
        (lambda e, b: (e, replace(b, listings=(Settlement(1, 1, 5),))), "cash of all accounts changes by 2, expected -5"),
        (lambda e, b: (e, replace(b, listings=())), "positions in instrument 1: their sum changes by -7|cash of all accounts"),
        (lambda e, b: (e, replace(b, accounts=b.accounts[:1])), "queue entry of account 4: the account is missing from the body"),
        (changed_account(1, auction=AuctionCode.UNCHANGED), r"effects\.new_state_root"),
        (changed_account(1, auction=AuctionCode.ENDED), r"effects\.new_state_root"),
        (changed_account(0, action_nonce=1), "action_nonce: 1, expected 2 or more"),
    ],
)
def test_data_of_requests_that_do_not_fit_are_named(change: Callable[[Effects, Body], tuple[Effects, Body]], message: str) -> None:
    state, effects, body = data_of_third()
    root, listed = state.root, state.listed.copy()
    with pytest.raises(LedgerError, match=message):
        state.apply_data(*change(effects, body), effects.queue)
    assert (state.root, state.listed) == (root, listed)
