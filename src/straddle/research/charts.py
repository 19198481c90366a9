"""Charts of a comparison as SVG or PNG files, by their file name's ending. Each carries, at its foot, which run made it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from straddle.primitives.errors import Actionable
from straddle.research.hedging import HedgeChoice, Interval
from straddle.research.prices import Prices

COLOURS = ("#1f5fa8", "#c4572b", "#3d8a4e", "#7a4fa3", "#8a6d1f", "#4b4b4b", "#b03a6b", "#2a9d9d")
"""One an architecture, in their order; told apart in print too by markers."""
MARKERS = "osD^vPX*"
FOOT_LETTERS = 150
"""A line of the foot."""
ENDINGS = (".svg", ".png")


class ChartError(Actionable, ValueError):
    """A chart that cannot be drawn or written."""


def cost_per_trade(path: Path, dollars: Mapping[str, Sequence[float]], prices: Sequence[Prices], made: str) -> None:
    """Dollars a trade against the price of gas, one line an architecture; logarithmic axes."""
    figure, axes = _figure()
    for i, (name, values) in enumerate(dollars.items()):
        axes.plot([price.gas_gwei for price in prices], values, marker=MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)], label=name)
    axes.set(xscale="log", yscale="log", xlabel="price of gas, gwei", ylabel="dollars a trade", title="Settling one trade")
    _write(figure, axes, path, made)


def waits(path: Path, seconds: Mapping[str, Mapping[str, float]], made: str) -> None:
    """Median seconds to each event, grouped by architecture; logarithmic axis."""
    figure, axes = _figure()
    events = list(next(iter(seconds.values())))
    for i, event in enumerate(events):
        places = [place + 0.8 * (i - (len(events) - 1) / 2) / len(events) for place in range(len(seconds))]
        axes.bar(places, [max(found[event], 1e-4) for found in seconds.values()], 0.8 / len(events), color=COLOURS[i], label=event)
    axes.set(yscale="log", ylabel="seconds, median", title="From a trade to")
    axes.set_xticks(range(len(seconds)), list(seconds), rotation=20, ha="right")
    _write(figure, axes, path, made)


def hedging(path: Path, intervals: Sequence[Interval], choices: Mapping[str, HedgeChoice], made: str) -> None:
    """Hedging error against the interval, and the interval that each architecture can afford."""
    figure, axes = _figure()
    axes.plot([each.minutes for each in intervals], [each.error for each in intervals], color="#999999", label="error left by hedging every so many minutes")
    for i, (name, choice) in enumerate(choices.items()):
        axes.plot(choice.minutes, choice.error, MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)], markersize=10 - i, label=name)
    axes.set(xscale="log", xlabel="minutes between hedges", ylabel="standard deviation of the hedged result, dollars", title="How often a hedge pays")
    _write(figure, axes, path, made)


def margins(path: Path, millions: Mapping[str, float], made: str) -> None:
    """Capital for the same books under each rule of margin."""
    figure, axes = _figure()
    axes.bar(list(millions), list(millions.values()), color=COLOURS[: len(millions)])
    axes.set(ylabel="million dollars", title="Capital for the same books")
    _write(figure, axes, path, made, legend=False)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # half a second to import: only who draws waits for it

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, which="major")
    return figure, axes


def _write(figure: Any, axes: Any, path: Path, made: str, *, legend: bool = True) -> None:
    """ChartError for another ending, or a folder that cannot be written."""
    if path.suffix not in ENDINGS:
        raise ChartError(f"charts: {path.name}, expected a name that ends in {' or '.join(ENDINGS)}")
    figure.supxlabel(textwrap.fill(made, FOOT_LETTERS), fontsize=6, color="#666666")
    if legend:
        axes.legend(frameon=False, fontsize=8)
    try:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise ChartError(f"charts: {path}: {error.strerror or error}") from error
