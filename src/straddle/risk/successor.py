"""What one epoch's published inputs owe to those of the epoch before: checked by oracles before they sign and by watchers afterwards."""

from __future__ import annotations

from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputError, RiskInputs
from straddle.risk.parameters import RiskParameters
from straddle.risk.scaling import next_scaling


def check_successor(previous: RiskInputs, current: RiskInputs, parameters: RiskParameters) -> None:
    """Check that `current` follows `previous`: a later epoch, a time not before, the funding that accrued, the margin scaling that follows, settlement
    prices that stay, and settlement averages that only grow.

    Raises:
        RiskInputError: naming the field.
    """
    if current.epoch <= previous.epoch:
        raise RiskInputError(f"epoch = {current.epoch}: expected above the previous {previous.epoch}")
    funding = accrue(previous, current.time_ms, parameters)
    if (current.cumulative_funding, current.funding_remainder) != funding:
        raise RiskInputError(f"funding = {(current.cumulative_funding, current.funding_remainder)}: expected {funding} from the previous epoch")
    hours, scale = next_scaling(previous, current.time_ms, current.index_ticks, parameters)
    if current.hours != hours:
        raise RiskInputError(f"hours = {current.hours}: expected {hours} from the previous epoch")
    if current.scale_ppm != scale:
        raise RiskInputError(f"scale_ppm = {current.scale_ppm}: expected {scale} from the previous epoch")
    settled = dict(previous.settlements)
    for expiry, ticks in current.settlements:
        if settled.get(expiry, ticks) != ticks:
            raise RiskInputError(f"settlement of expiry {expiry} = {ticks}: expected {settled[expiry]} as before")
    returned = sorted(settled.keys() & {expiry for expiry, _ in current.forwards})
    if returned:
        raise RiskInputError(f"forwards: expiries {returned} have a settlement price already")
    averages = {expiry: (observed_ms, fixed) for expiry, observed_ms, fixed in previous.windows}
    for expiry, observed_ms, fixed in current.windows:
        before_ms, before = averages.get(expiry, (0, 0))
        if not 0 <= observed_ms - before_ms <= fixed - before or (observed_ms - before_ms > current.time_ms - previous.time_ms and expiry in averages):
            raise RiskInputError(f"settlement average of expiry {expiry} = {(observed_ms, fixed)}: expected to grow from {(before_ms, before)}")
