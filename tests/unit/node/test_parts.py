"""Configuration, traders, queue commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from straddle.core import messages
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.core.instruments import Kind
from straddle.core.orders import Side, outright
from straddle.l1.history import QueueEntryAdded
from straddle.l1.queue import queue_commands
from straddle.node.config import ConfigError, DemoConfig
from straddle.node.crowd import allot
from straddle.node.demo import SHOWN_REFUSALS, show_refusals
from straddle.node.market import load_market
from straddle.node.night import Schedule
from straddle.node.session import positions_sum
from straddle.node.traders import Trader
from straddle.primitives.keys import verify

DOMAIN = messages.domain(1, 2)


def entry(kind: int) -> QueueEntryAdded:
    return QueueEntryAdded(block_number=1, log_index=0, transaction_hash="0x", index=4, kind=kind, account=3, owner=9, word_1=70, word_2=80)


def test_queue_entries_become_the_commands_that_answer_them() -> None:
    asked = [L1Deposit(4, 3, 9, 70), L1SetKey(4, 3, 9, PublicKey(70, 80)), L1ForceWithdraw(4, 3, 9, 70), L1ForceClose(4, 3, 9, 70)]
    assert queue_commands([entry(kind) for kind in (1, 2, 3, 4)]) == asked
    with pytest.raises(ValueError, match="queue entry 4 kind: 5, expected 1"):
        queue_commands([entry(5)])


def test_traders_follow_from_seed_and_name() -> None:
    names = [(1, "maker-1"), (1, "maker-2"), (2, "maker-1")]
    traders = [Trader.create(seed, name, DOMAIN) for seed, name in names]
    assert len({trader.owner for trader in traders}) == len({trader.key.public for trader in traders}) == 3
    again = Trader.create(1, "maker-1", DOMAIN)
    assert (again.owner, again.key.public) == (traders[0].owner, traders[0].key.public)


def test_messages_are_signed_for_the_domain_and_nonces_are_used_up() -> None:
    trader = Trader.create(1, "taker", DOMAIN)
    trader.account = 7
    orders = [outright(nonce, 0, 100, 10, 50, 1, Side.BUY, 3) for nonce in (5, 6)]
    order_set = trader.sign_orders(orders).order_set
    assert verify(trader.key.public, messages.order_set_words(DOMAIN, order_set), order_set.signature)
    assert not verify(trader.key.public, messages.order_set_words(DOMAIN + 1, order_set), order_set.signature)
    assert trader.next_nonce == 7
    first, second = trader.sign_withdrawal(10), trader.sign_withdrawal(10)
    assert (first.nonce, second.nonce, first.account) == (1, 2, 7)
    assert verify(trader.key.public, messages.withdrawal_words(DOMAIN, second), second.signature)


def test_positions_sum() -> None:
    assert positions_sum({3: {1: 5, 2: -1}, 4: {1: -5, 2: 2}}) == {2: 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": True}, "seed: True, expected an integer"),
        ({"seed": "1"}, "seed: '1', expected an integer"),
        ({"threshold": 4}, "threshold: 4, expected an integer from 1 to 3"),
        ({"rounds": 0}, "rounds: 0"),
        ({"epoch_minutes": 16}, "epoch_minutes: 16, expected an integer from 1 to 15"),
        ({"instruments": 10_000}, r"instruments: 10000, expected 4 .* to \d+ with preset demo"),
        ({"makers": 16, "takers": 9}, r"makers \+ takers: 16 \+ 9, expected at least 2 takers and \d+ accounts at most"),
        ({"takers": 1}, r"makers \+ takers: 3 \+ 1, expected at least 2 takers"),
        ({"prices": Path("nowhere.csv")}, "prices: nowhere.csv"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DemoConfig.recorded(**settings)


def test_what_is_listed_suits_the_preset() -> None:
    """Everything where there is room; else the first expiries, each with its future and the options nearest to the money, calls and puts alike."""
    whole = load_market(DemoConfig.recorded())
    kinds = [instrument.kind for instrument in whole.instruments]
    assert (len(kinds), kinds.count(Kind.FUTURE), kinds.count(Kind.PERPETUAL)) == (334, 7, 1)
    few = load_market(DemoConfig.recorded(preset="nano"))
    assert [instrument.kind for instrument in few.instruments] == [Kind.PERPETUAL, Kind.FUTURE, Kind.FUTURE, *(Kind.CALL, Kind.PUT) * 2]
    assert few.expiries == whole.expiries[:2]
    assert len(load_market(DemoConfig.recorded(preset="nano", instruments=4)).instruments) == 4


def test_makers_share_what_they_quote() -> None:
    """Every option is somebody's own, nobody quotes more than the quota, and what is nearest to the money is quoted by all."""
    parts = allot(list(range(10, 40)), [1, 2], 3, 20)
    assert sorted(number for own, _ in parts for number in own if number > 2) == list(range(10, 40))
    assert all(own[:2] == (1, 2) and len(own) + len(shared) == 20 and not set(own) & set(shared) for own, shared in parts)
    assert all({10, 11, 12} <= {*own, *shared} for own, shared in parts)


def test_files_without_a_market_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "chain.csv"
    broken.write_text("instrument_name,strike\n")
    with pytest.raises(ConfigError, match=r"recorded market: chain\.csv"):
        load_market(DemoConfig.recorded(chain=broken))


@pytest.mark.parametrize(("hours", "message"), [(0, r"recorded market: prices\.csv: no candle"), (1, "")])
def test_candles_that_end_too_early_are_refused(tmp_path: Path, hours: int, message: str) -> None:
    """Without the snapshot's own hour there is no market; with nothing after it, a short one."""
    config = DemoConfig.recorded()
    lines = config.prices.read_text().splitlines(keepends=True)
    start_s = 1590098400 + 3600 * hours  # the hour before the snapshot's
    short = tmp_path / "prices.csv"
    short.write_text("".join([lines[0], *(line for line in lines[1:] if int(line.split(",")[0]) <= start_s)]))
    if message:
        with pytest.raises(ConfigError, match=message):
            load_market(DemoConfig.recorded(prices=short))
    else:
        plan = Schedule.plan(load_market(DemoConfig.recorded(prices=short)), epoch_minutes=10, rounds=12, hours=24)
        assert plan.expiry_ms is None and len(plan.epochs) == 4


def test_another_day_is_another_market(tmp_path: Path) -> None:
    """Two expiries of the recording, as another file: the market is made from what is there."""
    config = DemoConfig.recorded()
    lines = config.chain.read_text().splitlines(keepends=True)
    other = tmp_path / "other.csv"
    other.write_text("".join([lines[0], *(line for line in lines[1:] if "29MAY20" in line or "26JUN20" in line), "BTC-26JUN20-9000-C,call,x\n"]))
    market = load_market(DemoConfig.recorded(chain=other, instruments=20))
    assert len(market.expiries) == 2
    assert len(market.listed) == 20
    (row,) = [refusal for _, refusal in market.refusals if refusal.whole_row]
    assert row.line == 1 + sum("29MAY20" in line or "26JUN20" in line for line in lines[1:]) + 1


def test_refused_rows_are_shown_with_file_line_and_reason(tmp_path: Path) -> None:
    recorded = DemoConfig.recorded(preset="nano", takers=2)
    lines = recorded.chain.read_text().splitlines()
    broken = [line.replace(".0,", ".x,", 1) if 2 <= number <= 24 else line for number, line in enumerate(lines, start=1)]
    chain = tmp_path / "broken.csv"
    chain.write_text("\n".join(broken) + "\n")
    shown: list[str] = []

    class Recorder:
        def stage(self, name: str, detail: str = "") -> None:
            raise AssertionError(name)

        def progress(self, detail: str, done: float | None = None) -> None:
            shown.append(detail)

    market = load_market(DemoConfig.recorded(preset="nano", takers=2, chain=chain))
    show_refusals(market, Recorder())
    assert shown[0].startswith("broken.csv line 2: row refused: strike = ")
    assert [text.split(":")[0] for text in shown[:SHOWN_REFUSALS]] == [f"broken.csv line {number}" for number in range(2, 2 + SHOWN_REFUSALS)]
    assert shown[SHOWN_REFUSALS] == "and 3 more rows, listed in the report (--json)"
    assert shown[SHOWN_REFUSALS + 1].endswith("single quotes refused, listed in the report (--json)")
