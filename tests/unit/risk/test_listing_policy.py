from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.core.instruments import Kind
from straddle.risk.listing import nice_number, terms
from straddle.risk.listing_policy import DEFAULT_POLICY, ListingPolicy, Room, due, expiries, strikes
from straddle.risk.naming import instrument_name, parse_name
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_MINUTES
from straddle.risk.table import EXPOSURE_LIMIT

DAY = 86_400_000
MOMENTS = st.integers(946_684_800_000, 4_000_000_000_000)
INDICES = st.integers(1, 200_000_000)


def ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def days(moments):
    return [datetime.fromtimestamp(moment / 1000, UTC).strftime("%d%b%y") for moment in moments]


def test_the_evening_of_the_recording():
    """All seven recorded expiries are among those that the policy lists, with the month and the quarter after them."""
    found = expiries(ms("2020-05-21T23:23"))
    assert days(found) == ["22May20", "23May20", "29May20", "05Jun20", "26Jun20", "31Jul20", "25Sep20", "25Dec20", "26Mar21"]


def test_at_expiry_the_next_day_comes():
    assert days(expiries(ms("2020-05-22T07:59:59")))[:2] == ["22May20", "23May20"]
    assert days(expiries(ms("2020-05-22T08:00")))[:2] == ["23May20", "24May20"]


def test_the_turn_of_a_year():
    assert days(expiries(ms("2020-12-31T12:00"))) == [
        "01Jan21",
        "02Jan21",
        "08Jan21",
        "15Jan21",
        "29Jan21",
        "26Feb21",
        "26Mar21",
        "25Jun21",
        "24Sep21",
        "31Dec21",
    ]


def test_a_month_end_tomorrow_counts_as_this_month():
    expected = "29May20 30May20 05Jun20 12Jun20 26Jun20 31Jul20 25Sep20 25Dec20 26Mar21"
    assert days(expiries(ms("2020-05-28T12:00"))) == expected.split()


def test_too_many_strikes_are_cut_from_the_outside():
    now = ms("2020-05-21T23:23")
    assert strikes(now + DAY, now, 908_500, ListingPolicy(max_strikes=4)) == (890_000, 900_000, 910_000, 920_000)


@settings(max_examples=300)
@given(MOMENTS)
def test_expiries_are_ahead_and_at_eight(time_ms):
    found = expiries(time_ms)
    assert list(found) == sorted(set(found)) and time_ms < found[0] <= time_ms + DAY
    assert all(moment % DAY == DAY // 3 and moment <= time_ms + MAX_MINUTES * 60_000 for moment in found)
    fridays = [moment for moment in found if datetime.fromtimestamp(moment / 1000, UTC).weekday() == 4]
    assert 7 <= len(found) <= 12 and len(found) - len(fridays) <= 2
    assert max(found) - time_ms > 250 * DAY


@given(st.integers(1, 10**12))
def test_nice_numbers(limit):
    found = nice_number(limit)
    assert found <= limit < 3 * found and int(str(found)[0]) in (1, 2, 5) and set(str(found)[1:]) <= {"0"}


@settings(max_examples=200)
@given(MOMENTS, INDICES, st.integers(1, 720 * DAY))
def test_strikes_lie_on_a_grid_inside_the_limits(time_ms, index, left_ms):
    found = strikes(time_ms + left_ms, time_ms, index)
    assert list(found) == sorted(set(found)) and 1 <= len(found) <= DEFAULT_POLICY.max_strikes
    assert 1 <= found[0] <= found[-1] <= min(1_000 * index, MAX_FEED_PRICE_TICKS)
    gaps = {b - a for a, b in itertools.pairwise(found)}
    assert len(gaps) <= 1 and (index < 100 or found[0] <= index <= found[-1])


def test_steps_and_reach_widen_with_time():
    now, index = ms("2020-05-21T23:23"), 908_500
    near, month, year = (strikes(now + left * DAY, now, index) for left in (1, 36, 300))
    assert (near[1] - near[0], month[1] - month[0], year[1] - year[0]) == (10_000, 50_000, 100_000)
    assert near[0] > month[0] > year[0] and near[-1] < month[-1] < year[-1]


def test_a_moved_index_extends_the_grid_and_nothing_is_listed_twice():
    now = ms("2020-05-21T23:23")
    first = due(now, 908_500, [], 10)
    assert [instrument.id for instrument in first] == list(range(10, 10 + len(first)))
    assert [instrument.kind for instrument in first[:9]] == [Kind.FUTURE] * 9 and first[9].strike_ticks == 910_000 - 910_000 % 10_000
    assert due(now, 908_500, first, 1_000) == ()
    more = due(now, 1_100_000, first, 1_000)
    assert more and more[0].id == 1_000 and all(instrument.kind is not Kind.FUTURE for instrument in more)
    assert not {(i.kind, i.expiry_ms, i.strike_ticks) for i in first} & {(i.kind, i.expiry_ms, i.strike_ticks) for i in more}
    assert max(i.strike_ticks for i in more if i.expiry_ms == first[0].expiry_ms) > 1_200_000


def test_the_list_is_the_same_in_parts():
    """Whoever has room for 30 at a time lists the same in the end."""
    now, listed = ms("2020-05-21T23:23"), []
    while missing := due(now, 908_500, listed, len(listed) + 1):
        listed += missing[:30]
    whole = due(now, 908_500, [], 1)
    assert tuple(listed) == whole and 200 < len(whole) < 1_023


def test_nothing_new_right_before_an_expiry():
    soon = ms("2020-05-22T08:00")
    assert any(instrument.expiry_ms == soon for instrument in due(soon - 3_600_000, 908_500, [], 1))
    assert not any(instrument.expiry_ms == soon for instrument in due(soon - 3_599_999, 908_500, [], 1))


@settings(max_examples=30, deadline=None)
@given(MOMENTS, INDICES)
def test_everything_due_is_listable(time_ms, index):
    for instrument in due(time_ms, index, [], 1):
        assert 1 <= instrument.tick_ticks < 2**24 and 1 <= instrument.min_lots <= min(instrument.position_cap_lots, 2**32 - 1)
        assert instrument.position_cap_lots * 32 * max(index, instrument.strike_ticks) < EXPOSURE_LIMIT
        name = parse_name(instrument_name(instrument))
        assert (name.kind, name.expiry_ms, name.strike_ticks) == (instrument.kind, instrument.expiry_ms, instrument.strike_ticks)


def test_ticks_and_sizes_follow_the_index():
    assert (terms(1, Kind.CALL, DAY, 5, 908_500).tick_ticks, terms(1, Kind.CALL, DAY, 5, 908_500).min_lots) == (50, 100)
    assert (terms(1, Kind.PERPETUAL, DAY, 0, 908_500).tick_ticks, terms(1, Kind.PERPETUAL, DAY, 0, 908_500).min_lots) == (50, 10)
    assert (terms(1, Kind.CALL, DAY, 5, 10_000_000).tick_ticks, terms(1, Kind.CALL, DAY, 5, 10_000_000).min_lots) == (500, 10)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"weeks": -1}, "weeks = -1"),
        ({"step_bps": (1, 2)}, "term_days"),
        ({"down_bps": (1, 1, 1, 1, 10_000)}, "down_bps"),
        ({"up_bps": (0, 1, 1, 1, 1)}, "up_bps"),
    ],
)
def test_bad_policies_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        ListingPolicy(**change)


def recorded_expiries():
    return tuple(ms(text) for text in ("2020-05-22T08:00", "2020-05-23T08:00", "2020-05-29T08:00", "2020-06-05T08:00", "2020-06-26T08:00", "2020-09-25T08:00"))


def listed_strikes(listed, expiry):
    return sorted(instrument.strike_ticks for instrument in listed if instrument.expiry_ms == expiry and instrument.kind is Kind.CALL)


@pytest.mark.parametrize("instruments", [144, 256])
@pytest.mark.parametrize("move_bps", [500, -500, 1_000, -1_000, 2_000])
@pytest.mark.parametrize("moves", [1, 60])
def test_strikes_near_the_money_appear_in_every_expiry_wherever_the_index_goes(instruments, move_bps, moves):
    """At once or step by step; room is kept for it, and never more is listed than there is room for."""
    now, start, room = ms("2020-05-21T23:23"), 908_500, Room(instruments, recorded_expiries())
    listed = list(due(now, start, [], 1, room=room))
    assert due(now, start, listed, 1_000, room=room) == () and instruments // 3 < len(listed) < 3 * instruments // 5
    for move in range(1, moves + 1):
        index = start + start * move_bps * move // moves // 10_000
        listed += due(now + move * 60_000, index, listed, len(listed) + 1, room=room)
        assert len(listed) < instruments
    assert len({(one.kind, one.expiry_ms, one.strike_ticks) for one in listed}) == len(listed)
    for expiry in room.expiries:
        below = [index - strike for strike in listed_strikes(listed, expiry) if strike <= index]
        above = [strike - index for strike in listed_strikes(listed, expiry) if strike > index]
        within = index * (5 if expiry < ms("2020-06-20T08:00") else 11) // 100
        assert (min(below, default=index) <= within) + (min(above, default=index) <= within) >= 1 + (abs(move_bps) <= 1_000)


def test_each_expiry_has_an_equal_share_and_a_late_one_finds_its_own():
    now, expiries_ = ms("2020-05-21T23:23"), recorded_expiries()
    early = list(due(now, 908_500, [], 1, room=Room(144, expiries_[:5])))
    room = Room(144, expiries_)
    assert [len(listed_strikes(early, expiry)) for expiry in expiries_] == [7] * 5 + [0] and room.share == 11
    late = due(now, 908_500, early, 1_000, room=room)
    assert {instrument.expiry_ms for instrument in late} == {expiries_[5]} and len(listed_strikes(late, expiries_[5])) == 6


def test_when_an_expiry_has_gone_the_others_take_its_room():
    now, expiries_ = ms("2020-05-21T23:23"), recorded_expiries()
    listed = [one for one in due(now, 908_500, [], 1, room=Room(144, expiries_)) if one.expiry_ms != expiries_[0]]
    later = due(expiries_[0], 908_500, listed, 1_000, room=Room(144, expiries_[1:]))
    assert {len(listed_strikes([*listed, *later], expiry)) for expiry in expiries_[1:]} == {7}


def test_a_share_that_is_used_up_lists_nothing_more_but_never_too_much():
    now, room = ms("2020-05-21T23:23"), Room(60, recorded_expiries())
    listed = list(due(now, 908_500, [], 1, room=room))
    for move in range(1, 200):
        index = 908_500 + (-1) ** move * 4_000 * move
        listed += due(now + move * 60_000, index, listed, len(listed) + 1, room=room)
    assert max(len(listed_strikes(listed, expiry)) for expiry in room.expiries) == room.share and len(listed) <= 60


def test_an_expiry_that_comes_nearer_gets_finer_strikes_around_the_money():
    expiry = ms("2020-06-26T08:00")
    room, far = Room(40, (expiry,)), expiry - 36 * DAY
    listed = list(due(far, 908_500, [], 1, room=room))
    coarse = listed_strikes(listed, expiry)
    listed += due(expiry - DAY, 925_000, listed, 1_000, room=room)
    assert {b - a for a, b in itertools.pairwise(coarse)} == {50_000}
    assert set(listed_strikes(listed, expiry)) - set(coarse) == {920_000, 940_000}
