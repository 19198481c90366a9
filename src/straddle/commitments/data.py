"""What layer 1 sees of a batch: effects and body, to words and back (docs/protocol/data.md).

Decoding accepts exactly what a proof can carry: everything else is a DataError that names the word and the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.commitments.layout import DataError, Layout, signed, unsigned
from straddle.commitments.listings import decode_listing, listing_word
from straddle.commitments.preset import EFFECTS_HEADER_WORDS, QUEUE_ENTRY_WORDS, Preset
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1SetKey
from straddle.core.instruments import Instrument
from straddle.primitives.field import MODULUS

QUEUE_DEPOSIT = 1
QUEUE_SET_KEY = 2
OUTCOME_APPLIED = 1

EPOCH_TIME = Layout(unsigned("epoch", 64), unsigned("time_ms", 48))
SEQUENCES = Layout(unsigned("first_sequence", 64), unsigned("last_sequence", 64))
QUEUE_RANGE = Layout(unsigned("queue_first", 64), unsigned("queue_count", 16))
QUEUE_ENTRY = Layout(unsigned("kind", 8), unsigned("account", 32), unsigned("owner", 160), unsigned("outcome", 8))
AMOUNT = Layout(unsigned("amount", 63))
WITHDRAWAL = Layout(unsigned("owner", 160), unsigned("amount", 64, bits=63), unsigned("account", 24))
ACCOUNT = Layout(unsigned("account", 32), signed("cash", 64), unsigned("min_nonce", 64), unsigned("withdrawal_nonce", 64))
SLOT = Layout(unsigned("account", 32), unsigned("nonce", 64), unsigned("revision", 16), unsigned("filled", 40), unsigned("sequence", 48))
POSITION = Layout(unsigned("account", 32), unsigned("instrument", 32), signed("size", 41))

QueueEntry = L1Deposit | L1SetKey


@dataclass(frozen=True, slots=True)
class WithdrawalData:
    """`amount` micro-dollars leave `account` for `owner` on layer 1."""

    account: int
    owner: int
    amount: int


@dataclass(frozen=True, slots=True)
class Effects:
    """What layer 1 acts on."""

    domain: int
    batch_number: int
    old_state_root: int
    new_state_root: int
    epoch: int
    time_ms: int
    params_hash: int
    risk_root: int
    first_sequence: int
    last_sequence: int
    log_root: int
    queue_first: int
    queue: tuple[QueueEntry, ...]
    """Entries queue_first, queue_first + 1, ... of layer 1's queue."""
    withdrawals: tuple[WithdrawalData, ...]
    """Ascending by account."""


@dataclass(frozen=True, slots=True)
class AccountData:
    """New plain values of a touched account."""

    id: int
    cash: int
    min_nonce: int
    withdrawal_nonce: int


@dataclass(frozen=True, slots=True)
class SlotData:
    """One update of an order slot; `sequence` is the log sequence of the order's last fill."""

    account: int
    nonce: int
    revision: int
    filled: int
    sequence: int


@dataclass(frozen=True, slots=True)
class PositionData:
    """New size of a position of a touched account, in lots; 0 when it closed."""

    account: int
    instrument: int
    size_lots: int


@dataclass(frozen=True, slots=True)
class Body:
    """What rebuilds the state."""

    accounts: tuple[AccountData, ...]
    slots: tuple[SlotData, ...]
    positions: tuple[PositionData, ...]
    listings: tuple[Instrument, ...]


def encode_effects(effects: Effects, preset: Preset) -> list[int]:
    """The effects' words, padded to the preset's length."""
    _fits("queue", len(effects.queue), preset.queue)
    _fits("withdrawals", len(effects.withdrawals), preset.withdrawals)
    words = [
        effects.domain,
        effects.batch_number,
        effects.old_state_root,
        effects.new_state_root,
        EPOCH_TIME.pack("effects[4]", (effects.epoch, effects.time_ms)),
        effects.params_hash,
        effects.risk_root,
        SEQUENCES.pack("effects[7]", (effects.first_sequence, effects.last_sequence)),
        effects.log_root,
        QUEUE_RANGE.pack("effects[9]", (effects.queue_first, len(effects.queue))),
    ]
    _check_header(words)
    for entry in effects.queue:
        words += _encode_entry(entry, f"effects[{len(words)}]")
    words += [0] * (QUEUE_ENTRY_WORDS * (preset.queue - len(effects.queue)))
    for row in effects.withdrawals:
        words.append(WITHDRAWAL.pack(f"effects[{len(words)}]", (row.owner, row.amount, row.account)))
    return words + [0] * (preset.effects_words - len(words))


def decode_effects(words: Sequence[int], preset: Preset) -> Effects:
    """The effects of posted words, which must have exactly the preset's length."""
    if len(words) != preset.effects_words:
        raise DataError(f"effects: {len(words)} words, expected {preset.effects_words}")
    _check_words("effects", words)
    _check_header(words)
    epoch, time_ms = EPOCH_TIME.unpack("effects[4]", words[4])
    first_sequence, last_sequence = SEQUENCES.unpack("effects[7]", words[7])
    queue_first, queue_count = QUEUE_RANGE.unpack("effects[9]", words[9])
    if queue_count > preset.queue:
        raise DataError(f"effects[9].queue_count: {queue_count}, expected at most {preset.queue}")
    end_of_queue = EFFECTS_HEADER_WORDS + QUEUE_ENTRY_WORDS * preset.queue
    queue = []
    for i in range(preset.queue):
        at = EFFECTS_HEADER_WORDS + QUEUE_ENTRY_WORDS * i
        if i < queue_count:
            queue.append(_decode_entry(words[at : at + QUEUE_ENTRY_WORDS], at, queue_first + i))
        elif any(words[at : at + QUEUE_ENTRY_WORDS]):
            raise DataError(f"effects[{at}]: queue entry {i} is not zero, expected {queue_count} entries (effects[9].queue_count)")
    return Effects(
        domain=words[0],
        batch_number=words[1],
        old_state_root=words[2],
        new_state_root=words[3],
        epoch=epoch,
        time_ms=time_ms,
        params_hash=words[5],
        risk_root=words[6],
        first_sequence=first_sequence,
        last_sequence=last_sequence,
        log_root=words[8],
        queue_first=queue_first,
        queue=tuple(queue),
        withdrawals=_decode_withdrawals(words[end_of_queue:], end_of_queue),
    )


def encode_body(body: Body, preset: Preset) -> list[int]:
    """The body's words, padded to the preset's length."""
    _fits("accounts", len(body.accounts), preset.accounts)
    _fits("slots", len(body.slots), preset.orders)
    _fits("positions", len(body.positions), preset.positions)
    _fits("listings", len(body.listings), preset.listings)
    accounts = [ACCOUNT.pack(f"body[{i}]", (row.id, row.cash, row.min_nonce, row.withdrawal_nonce)) for i, row in enumerate(body.accounts)]
    at = preset.accounts
    slots = [SLOT.pack(f"body[{at + i}]", (row.account, row.nonce, row.revision, row.filled, row.sequence)) for i, row in enumerate(body.slots)]
    at += preset.orders
    halves = [POSITION.pack(f"body[{at + i // 2}]", (row.account, row.instrument, row.size_lots)) for i, row in enumerate(body.positions)]
    halves = _padded(halves, preset.positions)
    positions = [even | odd << POSITION.width for even, odd in zip(halves[::2], halves[1::2], strict=True)]
    at += preset.positions // 2
    listings = [listing_word(row, f"body[{at + i}]") for i, row in enumerate(body.listings)]
    return _padded(accounts, preset.accounts) + _padded(slots, preset.orders) + positions + _padded(listings, preset.listings)


def decode_body(words: Sequence[int], preset: Preset) -> Body:
    """The body of posted words; trailing zero words may be missing."""
    if len(words) > preset.body_words:
        raise DataError(f"body: {len(words)} words, expected at most {preset.body_words}")
    _check_words("body", words)
    words = _padded(list(words), preset.body_words)
    slots_at = preset.accounts
    positions_at = slots_at + preset.orders
    listings_at = positions_at + preset.positions // 2
    return Body(
        accounts=_decode_accounts(words[:slots_at]),
        slots=_decode_slots(words[slots_at:positions_at], slots_at),
        positions=_decode_positions(words[positions_at:listings_at], positions_at),
        listings=_decode_listings(words[listings_at:], listings_at),
    )


def trimmed(words: Sequence[int]) -> list[int]:
    """The words without their trailing zeros: the body as it is posted."""
    end = len(words)
    while end and not words[end - 1]:
        end -= 1
    return list(words[:end])


def _encode_entry(entry: QueueEntry, where: str) -> list[int]:
    kind = QUEUE_DEPOSIT if isinstance(entry, L1Deposit) else QUEUE_SET_KEY
    first = QUEUE_ENTRY.pack(where, (kind, entry.account, entry.owner, OUTCOME_APPLIED))
    if isinstance(entry, L1Deposit):
        return [first, AMOUNT.pack(where, (entry.amount,)), 0]
    return [first, entry.key.x, entry.key.y]


def _decode_entry(words: Sequence[int], at: int, queue_index: int) -> QueueEntry:
    where = f"effects[{at}]"
    kind, account, owner, outcome = QUEUE_ENTRY.unpack(where, words[0])
    _positive(where, "account", account)
    _positive(where, "owner", owner)
    if outcome != OUTCOME_APPLIED:
        raise DataError(f"{where}.outcome: {outcome}, expected {OUTCOME_APPLIED}")
    if kind == QUEUE_SET_KEY:
        return L1SetKey(queue_index, account, owner, PublicKey(words[1], words[2]))
    if kind != QUEUE_DEPOSIT:
        raise DataError(f"{where}.kind: {kind}, expected {QUEUE_DEPOSIT} (deposit) or {QUEUE_SET_KEY} (key)")
    if words[2]:
        raise DataError(f"effects[{at + 2}]: {words[2]}, expected 0 after a deposit's amount")
    return L1Deposit(queue_index, account, owner, AMOUNT.unpack(f"effects[{at + 1}]", words[1])[0])


def _decode_withdrawals(words: Sequence[int], at: int) -> tuple[WithdrawalData, ...]:
    rows: list[WithdrawalData] = []
    for where, word in _used(words, "effects", at):
        owner, amount, account = WITHDRAWAL.unpack(where, word)
        _positive(where, "amount", amount)
        _ascending(where, "account", rows[-1].account if rows else 0, account)
        rows.append(WithdrawalData(account, owner, amount))
    return tuple(rows)


def _decode_accounts(words: Sequence[int]) -> tuple[AccountData, ...]:
    rows: list[AccountData] = []
    for where, word in _used(words, "body", 0):
        row = AccountData(*ACCOUNT.unpack(where, word))
        _ascending(where, "account", rows[-1].id if rows else 0, row.id)
        rows.append(row)
    return tuple(rows)


def _decode_slots(words: Sequence[int], at: int) -> tuple[SlotData, ...]:
    rows: list[SlotData] = []
    for where, word in _used(words, "body", at):
        row = SlotData(*SLOT.unpack(where, word))
        _ascending(where, "account", rows[-1].account - 1 if rows else 0, row.account)
        rows.append(row)
    return tuple(rows)


def _decode_positions(words: Sequence[int], at: int) -> tuple[PositionData, ...]:
    halves = []
    for i, word in enumerate(words):
        if word >> 2 * POSITION.width:
            raise DataError(f"body[{at + i}]: {word:#x}, expected spare bits from bit {2 * POSITION.width} on to be zero")
        halves += [word & ((1 << POSITION.width) - 1), word >> POSITION.width]
    rows: list[PositionData] = []
    for i, half in enumerate(trimmed(halves)):
        where = f"body[{at + i // 2}] row {i % 2}"
        if not half:
            raise DataError(f"{where}: unused, expected no used row after an unused one")
        row = PositionData(*POSITION.unpack(where, half))
        _positive(where, "account", row.account)
        _positive(where, "instrument", row.instrument)
        if rows and (row.account, row.instrument) <= (rows[-1].account, rows[-1].instrument):
            raise DataError(
                f"{where}: (account {row.account}, instrument {row.instrument}) after (account {rows[-1].account}, "
                f"instrument {rows[-1].instrument}), expected strictly ascending rows"
            )
        rows.append(row)
    return tuple(rows)


def _decode_listings(words: Sequence[int], at: int) -> tuple[Instrument, ...]:
    rows: list[Instrument] = []
    for where, word in _used(words, "body", at):
        row = decode_listing(word, where)
        if rows and row.id != rows[-1].id + 1:
            raise DataError(f"{where}.id: {row.id}, expected {rows[-1].id + 1} after {rows[-1].id}")
        rows.append(row)
    return tuple(rows)


def _check_header(words: Sequence[int]) -> None:
    """Widths of the header words that are not packed."""
    for at, name, bits in ((0, "domain", 248), (1, "batch_number", 64), (8, "log_root", 248)):
        if not 0 <= words[at] < 1 << bits:
            raise DataError(f"effects[{at}].{name}: {words[at]}, expected 0 to {(1 << bits) - 1}")


def _check_words(table: str, words: Sequence[int]) -> None:
    for i, word in enumerate(words):
        if not 0 <= word < MODULUS:
            raise DataError(f"{table}[{i}]: {word}, expected a field element (0 to {MODULUS - 1})")


def _used(words: Sequence[int], table: str, at: int) -> list[tuple[str, int]]:
    """The used rows, each with its name; used rows come first."""
    used = trimmed(words)
    for i, word in enumerate(used):
        if not word:
            raise DataError(f"{table}[{at + i}]: unused, expected no used row after an unused one")
    return [(f"{table}[{at + i}]", word) for i, word in enumerate(used)]


def _positive(where: str, name: str, value: int) -> None:
    if value < 1:
        raise DataError(f"{where}.{name}: {value}, expected 1 or more")


def _ascending(where: str, name: str, previous: int, value: int) -> None:
    if value <= previous:
        raise DataError(f"{where}.{name}: {value}, expected more than {previous} (rows ascend)")


def _fits(name: str, rows: int, limit: int) -> None:
    if rows > limit:
        raise DataError(f"{name}: {rows} rows, expected at most {limit} in this preset")


def _padded(words: list[int], length: int) -> list[int]:
    return words + [0] * (length - len(words))
