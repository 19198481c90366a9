"""Exact integer Black-76, undiscounted: the same integers on every machine and, later, in the circuit.

Two versions that agree exactly: `black76` on Python integers is the reference, `black76_vector` works on numpy int64 arrays.
Prices in ticks, volatility in basis points (10,000 = 100 % a year), time in minutes (a year has 525,600).

Algorithm (`>>` floors, `isqrt` and `//` are exact), for forward F and strike K:

    half    = (vol_bps * isqrt(minutes * CT) * 2^8 + 2^27) >> 28       half the total volatility, Q24
    inverse = 2^41 // (2 half + 1)
    x       = ln F - ln K                                              Q35, from a 1,024-row table with a quadratic step
    q       = (|x| >> 14) * inverse >> 14                              standard deviations, Q24
    out-of-the-money price = near * N(half - q) - far * N(-half - q)   normal table, linear in 14 bits; 0 when q + half > 9

and parity gives the other option. q may be coarse: the price is stationary in a common shift of both arguments.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
import numpy.typing as npt

from straddle.risk.pricing_tables import NORMAL_LOW, NORMAL_SCALE_BITS, load_tables

MINUTES_PER_YEAR = 525_600
MAX_PRICE_TICKS = 2**33 - 1
"""Largest forward or strike that the int64 arithmetic holds, shocked forwards included."""
MAX_FEED_PRICE_TICKS = 2**30 - 1
"""Largest forward or strike in a feed: a shock multiplies it by less than 8."""
MAX_VOL_BPS = 50_000
"""Largest volatility in a feed, 500 %."""
MAX_MINUTES = 2 * MINUTES_PER_YEAR
MAX_STRIKE_OVER_FORWARD = 1_000
SHOCKED_VOL_LIMIT_BPS = 2**18
"""Volatilities in a scenario stay below this."""
MAX_HALF_VOL = 5 << 24
"""Half the total volatility is at most 5, Q24; above, it counts as 5 (a shocked feed stays priceable)."""

_SATURATION = NORMAL_LOW << 24
_TIME_SCALE = (1 << 88) // (MINUTES_PER_YEAR * 4 * 10**8)

Int64Array = npt.NDArray[np.int64]

_TABLES = load_tables()
_NORMAL = np.array(_TABLES.normal, dtype=np.int64)
_NORMAL_STEP = np.append(np.diff(_NORMAL), 0)
_LOG_VALUE = np.array(_TABLES.log_value, dtype=np.int64)
_LOG_SLOPE = np.array(_TABLES.log_slope, dtype=np.int64)


class PricingLimitError(ValueError):
    """A price input outside the algorithm's domain."""


def check_feed(forward_ticks: int, strike_ticks: int, vol_bps: int, minutes: int) -> None:
    """Refuse inputs from a feed or a listing that the algorithm is not accurate for. Within these limits the total volatility stays below 10.

    Raises:
        PricingLimitError: naming the field, its value and the limit.
    """
    for name, value, high in (
        ("forward_ticks", forward_ticks, MAX_FEED_PRICE_TICKS),
        ("strike_ticks", strike_ticks, MAX_FEED_PRICE_TICKS),
        ("vol_bps", vol_bps, MAX_VOL_BPS),
        ("minutes", minutes, MAX_MINUTES),
    ):
        if not 1 <= value <= high:
            raise PricingLimitError(f"{name} = {value}: expected 1 to {high}")
    if strike_ticks > MAX_STRIKE_OVER_FORWARD * forward_ticks:
        raise PricingLimitError(f"strike_ticks = {strike_ticks}: expected at most {MAX_STRIKE_OVER_FORWARD} times the forward {forward_ticks}")


def root_time(minutes: int) -> int:
    """Square root of the time in years, divided by 20,000, Q44, rounded down."""
    return isqrt(minutes * _TIME_SCALE)


def root_time_ms(milliseconds: int, divisor: int = 1) -> int:
    """`root_time` of milliseconds / divisor, rounded down."""
    return isqrt(milliseconds * _TIME_SCALE // (60_000 * divisor))


def ln_q35(value: int) -> int:
    """Natural logarithm of an integer in [1, 2^38), Q35, within 3 units."""
    exponent = value.bit_length() - 1
    mantissa = value << (38 - exponent)
    row = (mantissa - (1 << 38)) >> 28
    offset = (mantissa & ((1 << 28) - 1)) - (1 << 27)
    step = (offset * _TABLES.log_slope[row] + (1 << 27)) >> 28
    linear = exponent * _TABLES.log_two + _TABLES.log_value[row] + step
    return (linear * (1 << 39) - step * step + (1 << 41)) >> 42


def half_total_vol(vol_bps: int, root: int) -> int:
    """Half the total volatility, Q24, at most MAX_HALF_VOL; `root` is the `root_time`."""
    return min((vol_bps * root * 256 + (1 << 27)) >> 28, MAX_HALF_VOL)


def black76(forward_ticks: int, strike_ticks: int, vol_bps: int, minutes: int) -> tuple[int, int]:
    """(call, put) in ticks: the reference.

    Forward and strike in [1, MAX_PRICE_TICKS], vol in [0, 2^18), minutes in [0, MAX_MINUTES]; not checked here, see `check_feed`.
    At vol 0 or time 0 the values are intrinsic.
    """
    return black76_root(forward_ticks, strike_ticks, vol_bps, root_time(minutes))


def black76_root(forward_ticks: int, strike_ticks: int, vol_bps: int, root: int) -> tuple[int, int]:
    """`black76` with the `root_time` of the variance time in place of its minutes."""
    half = half_total_vol(vol_bps, root)
    inverse = (1 << 41) // (2 * half + 1)
    x = ln_q35(forward_ticks) - ln_q35(strike_ticks)
    call_in_money = x >= 0
    distance = (x if call_in_money else -x - 1) >> 14
    q = (distance * inverse) >> 14
    near, far = (strike_ticks, forward_ticks) if call_in_money else (forward_ticks, strike_ticks)
    otm = 0 if q + half > _SATURATION else _out_of_the_money(near, far, q, half)
    parity = forward_ticks - strike_ticks
    return (otm + parity, otm) if call_in_money else (otm, otm - parity)


def _out_of_the_money(near: int, far: int, q: int, half: int) -> int:
    upper, lower = _SATURATION - q + half, _SATURATION - q - half
    shift = NORMAL_SCALE_BITS + 14
    return max(0, (near * _normal_q41(upper) - far * _normal_q41(lower) + (1 << (shift - 1))) >> shift)


def _normal_q41(y: int) -> int:
    row, part = y >> 14, y & 16383
    return (_TABLES.normal[row] << 14) + part * (_TABLES.normal[row + 1] - _TABLES.normal[row])


def ln_q35_vector(values: Int64Array) -> Int64Array:
    """`ln_q35` of each element."""
    exponent = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1  # exact: values are below 2^53
    mantissa = values << (38 - exponent)
    row = (mantissa - (1 << 38)) >> 28
    offset = (mantissa & ((1 << 28) - 1)) - (1 << 27)
    step = (offset * _LOG_SLOPE[row] + (1 << 27)) >> 28
    linear: Int64Array = exponent * _TABLES.log_two + _LOG_VALUE[row] + step
    return np.asarray((linear + (((1 << 41) - step * step) >> 39)) >> 3, dtype=np.int64)


def half_total_vol_vector(vol_bps: Int64Array, root_times: Int64Array) -> Int64Array:
    """`half_total_vol` of each element, from the `root_time` of its minutes."""
    return np.asarray(np.minimum((vol_bps * root_times * 256 + (1 << 27)) >> 28, MAX_HALF_VOL), dtype=np.int64)


def black76_vector(forward_ticks: Int64Array, strike_ticks: Int64Array, vol_bps: Int64Array, root_times: Int64Array) -> tuple[Int64Array, Int64Array]:
    """(calls, puts) in ticks for int64 arrays that broadcast together; equal to `black76` element by element.

    `root_times` holds `root_time(minutes)`, which is the same for a whole expiry.

    Raises:
        PricingLimitError: a forward, strike or vol outside the range where int64 cannot overflow.
    """
    _check_range("forward_ticks", forward_ticks, 1, MAX_PRICE_TICKS)
    _check_range("strike_ticks", strike_ticks, 1, MAX_PRICE_TICKS)
    _check_range("vol_bps", vol_bps, 0, SHOCKED_VOL_LIMIT_BPS - 1)
    _check_range("root_times", root_times, 0, root_time(MAX_MINUTES))
    half = half_total_vol_vector(vol_bps, root_times)
    inverse = (1 << 41) // (2 * half + 1)
    x, forward, strike, half, inverse = np.broadcast_arrays(
        ln_q35_vector(forward_ticks) - ln_q35_vector(strike_ticks), forward_ticks, strike_ticks, half, inverse
    )
    in_money = x >= 0
    distance = (x ^ (x >> 63)) >> 14
    surely_saturated = distance > (half << 2) + 4  # more than 16 standard deviations; their product could overflow
    q = (np.where(surely_saturated, 0, distance) * inverse) >> 14
    saturated = surely_saturated | (q + half > _SATURATION)
    q = np.where(saturated, 0, q)
    near, far = np.where(in_money, strike, forward), np.where(in_money, forward, strike)
    upper, lower = _SATURATION - q + half, _SATURATION - q - half
    upper_row, lower_row = upper >> 14, lower >> 14
    whole = near * _NORMAL[upper_row] - far * _NORMAL[lower_row]
    part = near * ((upper & 16383) * _NORMAL_STEP[upper_row]) - far * ((lower & 16383) * _NORMAL_STEP[lower_row])
    otm = np.maximum((whole + (part >> 14) + (1 << (NORMAL_SCALE_BITS - 1))) >> NORMAL_SCALE_BITS, 0)
    otm = np.where(saturated, 0, otm)
    parity = forward - strike
    call = otm + parity * in_money
    return call, call - parity


def _check_range(name: str, values: Int64Array, low: int, high: int) -> None:
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        raise PricingLimitError(f"{name} from {int(values.min())} to {int(values.max())}: expected {low} to {high}")
