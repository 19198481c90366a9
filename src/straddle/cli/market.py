"""`straddle market`: the state of an exchange's market, chosen by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from straddle.cli.common import clear_errors, finish, output
from straddle.cli.remote import as_documented, fetch_status
from straddle.core.market_state import MarketState
from straddle.l1.deployment import Deployment
from straddle.node.config import ConfigError
from straddle.node.market_state import choose, chosen
from straddle.primitives.files import read_text

HEARD_S = 10.0
"""A running node looks twenty times a second; a group of commands or an epoch may come between."""


def market(
    state: Annotated[
        str | None, typer.Argument(help="open, reduce-only, cancel-only or halted; none: show what is chosen.", show_default="show what is chosen")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of the exchange: whoever may write there is its operator.")] = Path("straddle-data"),
    url: Annotated[str | None, typer.Option(help="Address of its interface: wait until the node has heard it.", show_default="do not wait")] = None,
) -> None:
    """Shut a market by hand, or let go of it again, while the node runs or before it starts. It holds over restarts.

    The node shuts the market further by itself when it must, and never opens it further than this. Nobody can do this over the interface.
    """
    problems: list[str] = []
    with clear_errors():
        if not (data / "keys.json").is_file():
            raise ConfigError(f"--data {data}: no keys.json there, expected the folder of an exchange (straddle up)")
        if state is None:
            output.print(f"by hand: {_words(chosen(data))}", highlight=False)
        else:
            wanted = _parsed(state)
            if url is not None:
                _check_same(url, data)
            choose(data, wanted)
            output.print(f"by hand: {_words(wanted)}", highlight=False)
            if url is not None:
                problems = _wait(url, wanted)
    finish(problems)


def _parsed(text: str) -> MarketState:
    """ConfigError: no state."""
    try:
        return MarketState(text.replace("-", "_"))
    except ValueError as error:
        raise ConfigError(f"STATE: {text!r}, expected one of {', '.join(map(_words, MarketState))}") from error


def _words(state: MarketState) -> str:
    return state.replace("_", "-")


def _check_same(url: str, data: Path) -> None:
    """ConfigError: the node is another exchange's."""
    path = data / "deployment.json"
    expected = Deployment.from_json(read_text("--data", path)).rollup_number
    found = fetch_status(url).get("rollup")
    if found != f"{expected:#042x}":
        raise ConfigError(f"--url {url}: the node of rollup {found}, expected that of {path}, {expected:#042x}")


def _wait(url: str, wanted: MarketState) -> list[str]:
    """Until the node says that it has heard; what is wrong if it does not."""
    until = time.monotonic() + HEARD_S
    while True:
        status = fetch_status(url)
        with as_documented(url):
            heard, state = MarketState(status["market"]["by_hand"]), MarketState(status["market_state"])
        if heard == wanted:
            output.print(f"the market is {_words(state)}", highlight=False)
            return []
        if time.monotonic() > until:
            return [f"the node at {url} says {heard} by hand after {HEARD_S:.0f} s, expected {wanted}"]
        time.sleep(0.1)
