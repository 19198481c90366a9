"""Words of the listings chain that a proof admits and nobody should have written."""

from __future__ import annotations

from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import Account
from straddle.core.instruments import BTC, Instrument, Kind, Retirement, Settlement
from straddle.core.params import Params
from straddle.watcher.examine import word_faults


def state(**positions: int) -> CommittedState:
    """A state in which account 3 holds these positions (instrument ids as i1, i2, ...)."""
    found = CommittedState.genesis(Params(8, 4, 10_000, 8_000, risk_digest=7), 5)
    held = {int(name[1:]): size for name, size in positions.items()}
    holder = found.account(3)
    found.accounts[3] = holder.updated(Account(3, owner=6, positions=held), holder.orders)
    return found


def test_words_in_their_time_have_no_fault() -> None:
    words = (Instrument(3, Kind.CALL, BTC, 10, 5, 1, 1, 1), Settlement(2, BTC, 77), Retirement(1, BTC))
    assert word_faults(words, {1}, state(i2=5, i3=-1)) == []


def test_an_instrument_settles_once() -> None:
    assert word_faults((Settlement(1, BTC, 77),), {1}, state()) == ["instrument 1 settled again"]


def test_an_instrument_is_retired_once_it_has_settled_and_nobody_holds_it() -> None:
    assert word_faults((Retirement(1, BTC),), {2}, state()) == ["instrument 1 retired, expected a settled one"]
    assert word_faults((Retirement(2, BTC),), {2}, state(i2=-4)) == ["instrument 2 retired, held by account 3"]
