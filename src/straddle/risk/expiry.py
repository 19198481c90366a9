"""One expiry as the table prices it: forward, variance time, and, inside the settlement window, what part of the average is already fixed.

With o ms of the window observed at a sum of `fixed` ticks x ms, and r ms left, the settlement price is (fixed + r * G) / (o + r), G the average over
the rest, whose forward is F. Hence with w = r / (o + r) and A = fixed / (o + r) an option on it is one on the unfixed part: F* = w F, K* = K - A,
variance sigma^2 t / 3; K* <= 0 is linear. It is priced as w times the option on (F, K* / w), which is the same and rounds less: up to GUARD_BITS
further bits are carried, and put-call parity is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.instruments import Kind
from straddle.risk.inputs import RiskInputs
from straddle.risk.parameters import RiskParameters
from straddle.risk.pricing import MAX_PRICE_TICKS, MAX_STRIKE_OVER_FORWARD, black76_root, root_time, root_time_ms

GUARD_BITS = 8
_FEED_BITS = 30


def minutes_to_expiry(expiry_ms: int, time_ms: int, parameters: RiskParameters) -> int:
    """Minutes of variance left: whole minutes less the averaging correction; a third of the rest inside the settlement window, rounded up; 0 once expired."""
    left_ms = expiry_ms - time_ms
    if left_ms <= 0:
        return 0
    minutes = left_ms // 60_000
    if minutes >= parameters.settlement_window_minutes:
        return max(1, minutes - parameters.averaging_minutes)
    return max(1, -(-minutes // 3))


@dataclass(frozen=True, slots=True)
class Maturity:
    """An expiry at one moment. `average_ms` is o + r, `unfixed_ms` is r, `fixed` the sum of ticks x ms; outside the window they are 1, 1 and 0."""

    expiry_ms: int
    forward_ticks: int
    minutes: int
    """As `minutes_to_expiry`; shocks depend on it."""
    root: int
    """`root_time` of the variance time; by the millisecond inside the window."""
    unfixed_ms: int = 1
    average_ms: int = 1
    fixed: int = 0

    @property
    def expired(self) -> bool:
        """Whether only the settlement price counts."""
        return self.minutes == 0

    def strike(self, strike_ticks: int) -> tuple[int, int, int]:
        """(K* x average_ms, K* / w in ticks x 2^guard, guard) of a strike; the second is 1, and means nothing, where K* <= 0."""
        rest = strike_ticks * self.average_ms - self.fixed
        if rest <= 0:
            return rest, 1, 0
        if self.average_ms == 1:
            return rest, rest, 0
        highest = min(MAX_STRIKE_OVER_FORWARD * self.forward_ticks, MAX_PRICE_TICKS)  # above it calls are worth nothing in any scenario
        largest = max(self.forward_ticks, min(rest // self.unfixed_ms + 1, highest))
        guard = max(0, min(GUARD_BITS, _FEED_BITS - largest.bit_length()))
        scaled = ((rest << guard) + self.unfixed_ms // 2) // self.unfixed_ms
        return rest, max(1, min(scaled, highest << guard, MAX_PRICE_TICKS)), guard

    def option_value(self, kind: Kind, strike_ticks: int, vol_bps: int, forward_ticks: int | None = None) -> int:
        """The option's value in ticks, rounded to nearest; at another forward of the unfixed part if given. The plain statement of `valuation`."""
        forward = self.forward_ticks if forward_ticks is None else forward_ticks
        rest, strike, guard = self.strike(strike_ticks)
        parity = (forward * self.unfixed_ms - rest) << guard
        if rest <= 0:
            call, put = parity, 0
        else:
            calls, puts = black76_root(forward << guard, strike, vol_bps, self.root)
            if forward << guard >= strike:
                put = puts * self.unfixed_ms
                call = put + parity
            else:
                call = calls * self.unfixed_ms
                put = call - parity
        return _divide(call if kind is Kind.CALL else put, self.average_ms << guard)

    def future_value(self, forward_ticks: int | None = None) -> int:
        """A + w F in ticks, rounded to nearest; at another forward if given."""
        forward = self.forward_ticks if forward_ticks is None else forward_ticks
        return _divide(forward * self.unfixed_ms + self.fixed, self.average_ms)


def _divide(numerator: int, denominator: int) -> int:
    return (numerator + denominator // 2) // denominator


def maturities(inputs: RiskInputs, parameters: RiskParameters) -> dict[int, Maturity]:
    """expiry_ms -> maturity of every expiry that the inputs name, ascending; a settled one has its settlement price as forward."""
    windows = {expiry: (observed_ms, fixed) for expiry, observed_ms, fixed in inputs.windows}
    found: dict[int, Maturity] = {}
    for expiry, forward in sorted((*inputs.forwards, *inputs.settlements)):
        minutes, left_ms = minutes_to_expiry(expiry, inputs.time_ms, parameters), expiry - inputs.time_ms
        if expiry in windows:
            observed_ms, fixed = windows[expiry]
            found[expiry] = Maturity(expiry, forward, minutes, root_time_ms(left_ms, 3), left_ms, observed_ms + left_ms, fixed)
        else:
            found[expiry] = Maturity(expiry, forward, minutes, root_time(minutes))
    return found


def in_window(expiry_ms: int, time_ms: int, parameters: RiskParameters) -> bool:
    """Whether the settlement average of the expiry has begun and not ended."""
    return expiry_ms - parameters.settlement_window_minutes * 60_000 <= time_ms < expiry_ms
