"""Queue, withdrawals, transfers, takeovers and deleverages of the statement."""

from __future__ import annotations

from straddle.commitments.accounts import CASH_LIMIT
from straddle.commitments.effects import QUEUE_FORCE_CLOSE, QUEUE_FORCE_WITHDRAW, QUEUE_SET_KEY
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.messages import MessageKind, bid_payload, transfer_payload, withdrawal_payload
from straddle.core.params import BPS
from straddle.proving.checker_tables import Tables, elements, fail, magnitude, require, width
from straddle.proving.checker_trades import check_price, check_reduced
from straddle.proving.witness import AccountRow, TakeoverRow

AMOUNT_BITS = {QUEUE_SET_KEY: 0, QUEUE_FORCE_CLOSE: 14}
"""Width of an entry's amount, where it is not 63."""


def check_requests(tables: Tables) -> None:
    """All five tables."""
    _check_queue(tables)
    _check_withdrawals(tables)
    _check_transfers(tables)
    for row in tables.witness.takeovers:
        _check_takeover(tables, row)
    for index, _ in enumerate(tables.witness.deleverages):
        _check_deleverage(tables, index)


def _check_queue(tables: Tables) -> None:
    for index, row in enumerate(tables.witness.queue):
        require(1 <= row.kind <= QUEUE_FORCE_CLOSE, "queue", f"row {index}: kind {row.kind}")
        account = _account(tables, "queue", row.account)
        require(account.new.owner == row.owner, "queue", f"row {index}: owner is not the account's new owner")
        width("queue", f"row {index} amount", row.amount, AMOUNT_BITS.get(row.kind, 63))
        width("queue", f"row {index} paid", row.paid, 63 if row.kind == QUEUE_FORCE_WITHDRAW else 0)
        elements("queue", f"row {index} key", (row.key_x, row.key_y))
        require(row.kind == QUEUE_SET_KEY or (row.key_x, row.key_y) == (0, 0), "queue", f"row {index}: a key in an entry of kind {row.kind}")


def _check_withdrawals(tables: Tables) -> None:
    ids = [row.account for row in tables.witness.withdrawals]
    require(all(a < b for a, b in zip([0, *ids], ids, strict=False)), "withdrawals", f"accounts {ids} are not strictly ascending")
    for row in tables.witness.withdrawals:
        account = _account(tables, "withdrawals", row.account)
        require(0 < row.amount < CASH_LIMIT, "withdrawals", f"account {row.account}: amount {row.amount}")
        width("withdrawals", f"account {row.account} nonce", row.nonce, 64)
        tables.signed("withdrawals", row.account, MessageKind.WITHDRAWAL, withdrawal_payload(row.nonce, row.amount))
        require(row.owner == account.new.owner, "withdrawals", f"account {row.account}: owner is not the account's")


def _check_transfers(tables: Tables) -> None:
    for index, row in enumerate(tables.witness.transfers):
        sender, receiver = _account(tables, "transfers", row.account), _account(tables, "transfers", row.to)
        require(0 < row.amount < CASH_LIMIT, "transfers", f"row {index}: amount {row.amount}")
        width("transfers", f"row {index} nonce", row.nonce, 64)
        tables.signed("transfers", row.account, MessageKind.TRANSFER, transfer_payload(row.nonce, row.amount, row.to))
        require(sender.new.owner == receiver.new.owner, "transfers", f"row {index}: account {row.to} has another owner")


def _check_takeover(tables: Tables, row: TakeoverRow) -> None:
    """Rule (a) of the winner and the conditions of the seized account are rules of their account rows."""
    for account in (row.account, row.winner):
        _account(tables, "takeovers", account)
    require(1 <= row.fraction_bps <= BPS, "takeovers", f"{row}: fraction")
    magnitude("takeovers", "payment", row.payment, 63)
    if row.signature == -1:
        require(row.winner == INSURANCE_ACCOUNT, "takeovers", f"{row}: unsigned, and not the insurance fund")
        return
    require(-(1 << 63) <= row.limit < 1 << 63, "takeovers", f"{row}: limit")
    width("takeovers", "nonce", row.nonce, 64)
    width("takeovers", "expiry_ms", row.expiry_ms, 48)
    tables.signed("takeovers", row.winner, MessageKind.BID, bid_payload(row.nonce, row.account, row.fraction_bps, row.limit, row.expiry_ms))
    require(row.payment <= row.limit, "takeovers", f"{row}: pays more than the bid")
    require(row.expiry_ms > tables.header.time_ms, "takeovers", f"{row}: the bid has expired")


def _check_deleverage(tables: Tables, index: int) -> None:
    row = tables.witness.deleverages[index]
    for account in (row.account, row.winner):
        _account(tables, "deleverages", account)
        check_reduced(tables, "deleverages", account, row.instrument)
    magnitude("deleverages", "size", row.size, 40)
    instrument = check_price(tables, "deleverages", f"row {index}", row.instrument, row.price)
    require(row.size * (row.price - instrument.mark) >= 0, "deleverages", f"row {index}: the winner gains against the mark")


def _account(tables: Tables, rule: str, identifier: int) -> AccountRow:
    account = tables.accounts.get(identifier)
    if account is None:
        fail(rule, f"no account row {identifier}")
    return account
