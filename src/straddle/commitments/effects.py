"""Effects to words and back (docs/protocol/data.md).

Decoding accepts exactly what a proof can carry: everything else is a DataError that names the word and the field.
"""

from __future__ import annotations

from collections.abc import Sequence

from straddle.commitments.cells import check_ascending, check_fits, check_positive, check_words, padded, used_rows
from straddle.commitments.data import Effects, QueueEntry, WithdrawalData
from straddle.commitments.layout import DataError, Layout, unsigned
from straddle.commitments.preset import EFFECTS_HEADER_WORDS, QUEUE_ENTRY_WORDS, Preset
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey

QUEUE_DEPOSIT, QUEUE_SET_KEY, QUEUE_FORCE_WITHDRAW, QUEUE_FORCE_CLOSE = 1, 2, 3, 4
OUTCOME_APPLIED = 1

EPOCH_TIME = Layout(unsigned("epoch", 64), unsigned("time_ms", 48))
SEQUENCES = Layout(unsigned("first_sequence", 64), unsigned("last_sequence", 64))
QUEUE_RANGE = Layout(unsigned("queue_first", 64), unsigned("queue_count", 16))
QUEUE_ENTRY = Layout(unsigned("kind", 8), unsigned("account", 32), unsigned("owner", 160), unsigned("outcome", 8))
AMOUNT = Layout(unsigned("amount", 63))
LIMIT = Layout(unsigned("limit_bps", 14))
WITHDRAWAL = Layout(unsigned("owner", 160), unsigned("amount", 64, bits=63), unsigned("account", 24))


def encode_effects(effects: Effects, preset: Preset) -> list[int]:
    """The effects' words, padded to the preset's length."""
    check_fits("queue", len(effects.queue), preset.queue)
    check_fits("withdrawals", len(effects.withdrawals), preset.withdrawals)
    forced = sum(isinstance(entry, L1ForceWithdraw) for entry in effects.queue)
    if len(effects.paid) != forced:
        raise DataError(f"paid: {len(effects.paid)} payments, expected one for each of {forced} forced withdrawals")
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
    paid = iter(effects.paid)
    for entry in effects.queue:
        words += _encode_entry(entry, next(paid) if isinstance(entry, L1ForceWithdraw) else 0, f"effects[{len(words)}]")
    words = padded(words, EFFECTS_HEADER_WORDS + QUEUE_ENTRY_WORDS * preset.queue)
    for row in effects.withdrawals:
        words.append(WITHDRAWAL.pack(f"effects[{len(words)}]", (row.owner, row.amount, row.account)))
    return padded(words, preset.effects_words)


def decode_effects(words: Sequence[int], preset: Preset) -> Effects:
    """The effects of posted words, which must have exactly the preset's length."""
    if len(words) != preset.effects_words:
        raise DataError(f"effects: {len(words)} words, expected {preset.effects_words}")
    check_words("effects", words)
    _check_header(words)
    epoch, time_ms = EPOCH_TIME.unpack("effects[4]", words[4])
    first_sequence, last_sequence = SEQUENCES.unpack("effects[7]", words[7])
    queue_first, queue_count = QUEUE_RANGE.unpack("effects[9]", words[9])
    queue, paid = _decode_queue(words, queue_first, queue_count, preset)
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
        queue=queue,
        withdrawals=_decode_withdrawals(words, EFFECTS_HEADER_WORDS + QUEUE_ENTRY_WORDS * preset.queue),
        paid=paid,
    )


def _encode_entry(entry: QueueEntry, paid: int, where: str) -> list[int]:
    match entry:
        case L1Deposit():
            kind, rest = QUEUE_DEPOSIT, [AMOUNT.pack(where, (entry.amount,)), 0]
        case L1SetKey():
            kind, rest = QUEUE_SET_KEY, [entry.key.x, entry.key.y]
        case L1ForceWithdraw():
            kind, rest = QUEUE_FORCE_WITHDRAW, [AMOUNT.pack(where, (entry.amount,)), AMOUNT.pack(f"{where}.paid", (paid,))]
        case L1ForceClose():
            kind, rest = QUEUE_FORCE_CLOSE, [LIMIT.pack(where, (entry.limit_bps,)), 0]
    return [QUEUE_ENTRY.pack(where, (kind, entry.account, entry.owner, OUTCOME_APPLIED)), *rest]


def _decode_queue(words: Sequence[int], first: int, count: int, preset: Preset) -> tuple[tuple[QueueEntry, ...], tuple[int, ...]]:
    """The entries, and what the forced withdrawals among them were paid."""
    if count > preset.queue:
        raise DataError(f"effects[9].queue_count: {count}, expected at most {preset.queue}")
    queue: list[QueueEntry] = []
    paid: list[int] = []
    for i in range(preset.queue):
        at = EFFECTS_HEADER_WORDS + QUEUE_ENTRY_WORDS * i
        entry = words[at : at + QUEUE_ENTRY_WORDS]
        if i < count:
            queue.append(_decode_entry(entry, at, first + i))
            if isinstance(queue[-1], L1ForceWithdraw):
                paid += AMOUNT.unpack(f"effects[{at + 2}].paid", entry[2])
        elif any(entry):
            raise DataError(f"effects[{at}]: queue entry {i} is not zero, expected {count} entries (effects[9].queue_count)")
    return tuple(queue), tuple(paid)


def _decode_entry(words: Sequence[int], at: int, queue_index: int) -> QueueEntry:
    where = f"effects[{at}]"
    kind, account, owner, outcome = QUEUE_ENTRY.unpack(where, words[0])
    check_positive(where, "account", account)
    check_positive(where, "owner", owner)
    if outcome != OUTCOME_APPLIED:
        raise DataError(f"{where}.outcome: {outcome}, expected {OUTCOME_APPLIED}")
    if kind == QUEUE_SET_KEY:
        return L1SetKey(queue_index, account, owner, PublicKey(words[1], words[2]))
    if kind == QUEUE_FORCE_WITHDRAW:
        return L1ForceWithdraw(queue_index, account, owner, *AMOUNT.unpack(f"effects[{at + 1}]", words[1]))
    if kind not in (QUEUE_DEPOSIT, QUEUE_FORCE_CLOSE):
        raise DataError(f"{where}.kind: {kind}, expected 1 (deposit), 2 (key), 3 (forced withdrawal) or 4 (forced close)")
    if words[2]:
        raise DataError(f"effects[{at + 2}]: {words[2]}, expected 0 in the third word of an entry of kind {kind}")
    if kind == QUEUE_FORCE_CLOSE:
        return L1ForceClose(queue_index, account, owner, *LIMIT.unpack(f"effects[{at + 1}]", words[1]))
    return L1Deposit(queue_index, account, owner, *AMOUNT.unpack(f"effects[{at + 1}]", words[1]))


def _decode_withdrawals(words: Sequence[int], at: int) -> tuple[WithdrawalData, ...]:
    rows: list[WithdrawalData] = []
    for where, word in used_rows(words[at:], [f"effects[{i}]" for i in range(at, len(words))]):
        owner, amount, account = WITHDRAWAL.unpack(where, word)
        check_positive(where, "amount", amount)
        check_ascending(where, "account", rows[-1].account if rows else 0, account)
        rows.append(WithdrawalData(account, owner, amount))
    return tuple(rows)


def _check_header(words: Sequence[int]) -> None:
    """Widths of the header words that are not packed."""
    for at, name, bits in ((0, "domain", 248), (1, "batch_number", 64), (8, "log_root", 248)):
        if not 0 <= words[at] < 1 << bits:
            raise DataError(f"effects[{at}].{name}: {words[at]}, expected 0 to {(1 << bits) - 1}")
