"""From figures to tables: of medians, and of what we want of them."""

import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .contenders import (
    BY_HAND,
    FASTAPI,
    LANARKY,
    LANGSERVE,
    LIMIT,
    OURS,
    OURS_WEBSOCKET,
    Contender,
)
from .workloads import Figures

__all__ = ["FIGURES", "RESULTS", "Results", "goals", "header", "import_time", "tables"]

RESULTS = Path(__file__).parent / "results"
"""Where the files of a run go."""

OF_TOKENS = {
    "single.cpu": "CPU µs a token, 1 × 500",
    "crowd.cpu": "CPU µs a token, 100 × 200",
    "readers.cpu": "CPU µs a token, readers",
    "single.rate": "tokens a second, 1 × 500",
    "crowd.rate": "tokens a second, 100 × 200",
    "readers.capacity": "readers that one core carries",
}

OF_ALL_ELSE = {
    "first.p50": "first token, p50, ms",
    "first.p99": "first token, p99, ms",
    "request.cpu": "CPU µs a request of one token",
    "delay.p50": "model to client, p50, ms",
    "delay.p99": "model to client, p99, ms",
    "rss.peak": "RSS at its most, MiB",
    "idle.kib": "KiB an idle stream",
}

FIGURES = OF_TOKENS | OF_ALL_ELSE


@dataclass
class Results:
    """The figures of all rounds.

    Attributes:
        rounds: Of each contender, for each figure, the values of the rounds.
        skipped: Who could not be installed, and why.
        failures: Of whom which workload failed, and how.
        about: What was measured, on what.
    """

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    about: str = ""

    def add(self, name: str, figures: Figures) -> None:
        """Note the figures of one round."""
        for figure, value in figures.items():
            self.rounds.setdefault(name, {}).setdefault(figure, []).append(value)

    def last(self, name: str) -> Figures:
        """Return the figures of the last round."""
        return {figure: values[-1] for figure, values in self.rounds.get(name, {}).items()}

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, and the medians."""
        medians = {name: {f: median(v) for f, v in of.items()} for name, of in self.rounds.items()}
        return vars(self) | {"medians": medians}

    def median(self, name: str, figure: str) -> float | None:
        """Return the median of the rounds; None if there is none."""
        values = self.rounds.get(name, {}).get(figure)
        return median(values) if values else None


def header(results: Results, contenders: Sequence[Contender], importing: str) -> str:
    """Say what was measured, on what, and who is missing."""
    machine = (
        f"Python {platform.python_version()}, {_processor()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}"
    )
    lines = [f"- {machine}; each server has one core, its clients another.", f"- {importing}"]
    environments: dict[str, list[str]] = defaultdict(list)
    for contender in (c for c in contenders if c.name not in results.skipped):
        environments[contender.versions()].append(contender.name)
    lines += [f"- {'; '.join(names)}: {versions}." for versions, names in environments.items()]
    lines += [f"- Skipped: {name}, which {why}." for name, why in results.skipped.items()]
    return "\n".join(lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    _, _, rest = info.partition("model name")
    return rest.partition("\n")[0].strip("\t :") or platform.machine()


def import_time() -> str:
    """Say how long it takes to import the package, and whether that brings LangChain."""
    code = (
        "import time, sys; t = time.perf_counter(); import quart; u = time.perf_counter(); "
        "import quart_lanarky; v = time.perf_counter(); "
        "print(f'{(u - t) * 1e3:.0f} {(v - u) * 1e3:.0f}', "
        "sum(m.startswith('langchain') for m in sys.modules))"
    )
    command = [sys.executable, "-c", code]
    runs = [subprocess.check_output(command, text=True).split() for _ in range(5)]
    quart, ours, langchain = sorted(runs, key=lambda run: int(run[1]))[2]
    return (
        f"`import quart_lanarky` takes {ours} ms after `import quart` ({quart} ms), "
        f"and brings {langchain} modules of LangChain."
    )


# -- the table -----------------------------------------------------------------------------


def tables(results: Results, contenders: Sequence[Contender]) -> str:
    """Return Markdown tables of the medians: of tokens, and of all else; each has a row."""
    measured = set().union(*results.rounds.values())
    groups = [[f for f in group if f in measured] for group in (OF_TOKENS, OF_ALL_ELSE)]
    names = [c.name for c in contenders if c.name in results.rounds]
    return "\n\n".join(_table(results, names, figures) for figures in groups if figures)


def _table(results: Results, names: Sequence[str], figures: Sequence[str]) -> str:
    lines = ["| | " + " | ".join(FIGURES[f] for f in figures) + " |"]
    lines.append("|---" + "|--:" * len(figures) + "|")
    for name in names:
        cells = [_cell(results, name, figure) for figure in figures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(results: Results, name: str, figure: str) -> str:
    if figure.partition(".")[0] in results.failures.get(name, {}):
        return "incomplete"
    value = results.median(name, figure)
    return "" if value is None else _shown(value)


def _shown(value: float) -> str:
    return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


# -- the goals -----------------------------------------------------------------------------

Relation = Callable[[float, float], float]


def _over(ours: float, other: float) -> float:
    return ours / other


def _beyond(ours: float, other: float) -> float:
    return ours - other


GOALS: Sequence[tuple[str, str, str, Relation, str, float]] = [
    ("single.cpu", OURS, LIMIT, _over, "≤", 2.5),
    ("single.cpu", OURS, BY_HAND, _over, "≤", 1 / 3),
    ("single.cpu", OURS, LANARKY, _over, "≤", 1 / 4),
    ("single.cpu", OURS, LANGSERVE, _over, "≤", 1 / 4),
    ("crowd.cpu", OURS, LIMIT, _over, "≤", 3),
    ("crowd.cpu", OURS, BY_HAND, _over, "≤", 1 / 2.5),
    ("crowd.cpu", OURS, LANGSERVE, _over, "≤", 1 / 4),
    ("single.cpu", OURS_WEBSOCKET, OURS, _over, "≤", 1.3),
    ("crowd.cpu", OURS_WEBSOCKET, OURS, _over, "≤", 1.3),
    ("readers.cpu", OURS_WEBSOCKET, OURS, _over, "≤", 1.3),
    ("first.p50", OURS, BY_HAND, _beyond, "≤", 1),
    ("delay.p99", OURS, BY_HAND, _beyond, "≤", 2),
    ("readers.capacity", OURS, BY_HAND, _over, "≥", 2),
    ("readers.capacity", OURS, FASTAPI, _over, "≥", 1),
    ("readers.capacity", OURS, LANGSERVE, _over, "≥", 1),
    ("readers.capacity", OURS, LANARKY, _over, "≥", 1),
    ("idle.kib", OURS, BY_HAND, _beyond, "≤", 10),
]
"""The figure, whose, against whose, how they are compared, and what must hold."""


def goals(results: Results) -> str:
    """Return a Markdown table of what we want, and what was measured of it."""
    lines = ["| figure | of | against | goal | measured | |", "|---|---|---|--:|--:|---|"]
    for figure, name, other, relation, sign, bound in GOALS:
        ours, theirs = results.median(name, figure), results.median(other, figure)
        if ours is None or theirs is None:
            continue
        measured = relation(ours, theirs)
        is_met = measured <= bound if sign == "≤" else measured >= bound
        kind = "×" if relation is _over else "more"
        lines.append(
            f"| {FIGURES[figure]} | {name} | {other} | {sign} {bound:.2f} {kind} "
            f"| {measured:.2f} {kind} | {'met' if is_met else '**missed**'} |"
        )
    return "\n".join(lines)
