"""internal_settle: settlement values of expired instruments; settled ones that nobody holds leave the table. Trading halts until the next epoch's table."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.capacity import Additions
from straddle.core.commands import InternalSettle
from straddle.core.events import Event, Retired, Settled
from straddle.core.instruments import BTC, Retirement, Settlement
from straddle.core.params import TICKS_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.words import check_words


@dataclass(frozen=True, slots=True)
class Plan:
    """The words."""

    command: InternalSettle
    additions: Additions


def check(exchange: Exchange, command: InternalSettle) -> Plan | Rejection:
    """Each instrument once, each word possible, a batch without rows."""
    words: tuple[Settlement | Retirement, ...] = (*command.settlements, *command.retirements)
    if not words:
        return Rejection(RejectionCode.SETTLEMENT_TERMS, "settlements", 0, "at least one settlement or retirement")
    seen: dict[int, None] = {}
    for word in words:
        rejection = _check_instrument(exchange, word, seen)
        if rejection is None:
            rejection = _check_settlement(exchange, word) if isinstance(word, Settlement) else _check_retirement(exchange, word)
        if rejection is not None:
            return rejection
        seen[word.instrument] = None
    return check_words(exchange, len(words)) or Plan(command, Additions(listings=len(words)))


def _check_instrument(exchange: Exchange, word: Settlement | Retirement, seen: dict[int, None]) -> Rejection | None:
    code = RejectionCode.SETTLEMENT_TERMS if isinstance(word, Settlement) else RejectionCode.RETIREMENT_TERMS
    if word.instrument not in exchange.instruments or word.instrument in seen:
        return Rejection(code, "instrument", word.instrument, "an instrument listed and not retired, each once")
    if word.underlying != BTC:
        return Rejection(code, "underlying", word.underlying, f"{BTC}, that of instrument {word.instrument}")
    return None


def _check_settlement(exchange: Exchange, word: Settlement) -> Rejection | None:
    """An expired instrument, for the first time. The sequencer's time counts too: the table that follows must not be earlier than the expiry."""
    expiry_ms, now_ms = exchange.instruments[word.instrument].expiry_ms, exchange.now_ms
    if word.instrument in exchange.settlements:
        return Rejection(RejectionCode.SETTLEMENT_TERMS, "instrument", word.instrument, "one whose value was not declared before")
    if expiry_ms > now_ms:
        return Rejection(RejectionCode.SETTLEMENT_TERMS, "instrument", word.instrument, f"one that has expired by {now_ms}, not at {expiry_ms}")
    if not 0 <= word.value_ticks <= TICKS_MAX:
        return Rejection(RejectionCode.SETTLEMENT_TERMS, "value_ticks", word.value_ticks, f"0 to {TICKS_MAX}")
    return None


def _check_retirement(exchange: Exchange, word: Retirement) -> Rejection | None:
    """A settled instrument, its settlement in an earlier batch (which has its row), that nobody holds."""
    instrument, batch = word.instrument, exchange.open_batch
    if instrument not in exchange.settlements:
        return Rejection(RejectionCode.RETIREMENT_TERMS, "instrument", instrument, "a settled one")
    if any(isinstance(known, Settlement) and known.instrument == instrument for known in batch.listings):
        code = RejectionCode.BATCH_BOUNDARY if exchange.trading_open else RejectionCode.EPOCH_REQUIRED
        return Rejection(code, "instrument", instrument, "one that an earlier batch settled")
    holder = next((account for account in exchange.accounts if instrument in exchange.positions_of(account)), None)
    if holder is not None:
        return Rejection(RejectionCode.RETIREMENT_TERMS, "instrument", instrument, f"one that nobody holds, not account {holder} (internal_deliver)")
    return None


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Values are fixed, retired instruments gone; trading halts."""
    command = plan.command
    for settlement in command.settlements:
        exchange.settlements[settlement.instrument] = settlement.value_ticks
    for retirement in command.retirements:
        for known in (exchange.instruments, exchange.books, exchange.settlements):
            del known[retirement.instrument]
    exchange.open_batch.listings.extend((*command.settlements, *command.retirements))
    exchange.trading_open = False
    settled = (Settled(settlement.instrument, settlement.value_ticks) for settlement in command.settlements)
    return (*settled, *(Retired(retirement.instrument) for retirement in command.retirements))
