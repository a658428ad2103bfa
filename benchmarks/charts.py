"""From figures to pictures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from .contenders import BY_HAND, CONTENDERS, FLOOR, LIMIT, OURS
from .reports import FIGURES, Results
from .workloads import GROWTH_STREAMS, GROWTH_TOKENS

__all__ = ["draw_contenders", "draw_growth"]

mpl.use("Agg")
plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}

COLOURS = {OURS: "#1f6f8b", FLOOR: "#e0c080", LIMIT: "#e0c080"}

PICTURED = ("single.cpu", "crowd.cpu", "readers.capacity")


def draw_contenders(results: Results, path: Path) -> None:
    """Draw bars: what a token costs each contender, and how many readers it carries."""
    figures = [f for f in PICTURED if any(f in of for of in results.rounds.values())]
    if not figures:
        return
    picture, places = plt.subplots(1, len(figures), figsize=(4 * len(figures), 3.6), squeeze=False)
    names = [c.name for c in CONTENDERS if c.name in results.rounds][::-1]
    for axes, figure in zip(places[0], figures, strict=True):
        values = [results.median(name, figure) or 0 for name in names]
        colours = [
            COLOURS.get(name, "#7fb2c4" if name.startswith("ours") else "#b8b8b8") for name in names
        ]
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, [f"{v:,.0f}" if v else "" for v in values], padding=3)
        axes.set_title(FIGURES[figure], fontsize=10)
        if axes is not places[0][0]:
            axes.set_yticklabels([])
    _save(picture, path)


def draw_growth(results: Results, path: Path) -> None:
    """Draw lines: what a token costs in ever more streams, and in ever longer answers."""
    picture, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    for name, colour in ((BY_HAND, "#909090"), (OURS, COLOURS[OURS])):
        request = results.median(name, "request.cpu") or 0
        for axes, at, places in (
            (left, GROWTH_STREAMS, [(streams, 100) for streams in GROWTH_STREAMS]),
            (right, GROWTH_TOKENS, [(1, tokens) for tokens in GROWTH_TOKENS]),
        ):
            costs = [results.median(name, f"{s}x{t}") or 0 for s, t in places]
            rest = [cost - request / t for cost, (_, t) in zip(costs, places, strict=True)]
            axes.plot(at, costs, "o-", color=colour, label=name)
            axes.plot(at, rest, "--", color=colour, label=f"{name}, without its set-up")
            axes.set_xscale("log")
    left.set_xlabel("streams at once, of 100 tokens each")
    right.set_xlabel("tokens of one answer")
    left.set_ylabel(FIGURES["single.cpu"].partition(",")[0])
    left.set_ylim(0, 450)
    right.legend(frameon=False)
    _save(picture, path)


def _save(picture: Any, path: Path) -> None:
    picture.tight_layout()
    picture.savefig(path, dpi=110)
    plt.close(picture)
