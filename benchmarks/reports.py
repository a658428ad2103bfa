"""From figures to a table, a JSON file and charts."""

import json
import os
import platform
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from .contenders import Contender
from .workloads import Figures

__all__ = ["FIGURES", "Results", "header", "table"]

FIGURES = {
    "single.cpu": "CPU µs a token, 1 × 500",
    "crowd.cpu": "CPU µs a token, 100 × 200",
    "readers.cpu": "CPU µs a token, readers",
    "single.rate": "tokens a second, 1 × 500",
    "crowd.rate": "tokens a second, 100 × 200",
    "readers.capacity": "readers that one core carries",
    "first.p50": "first token, p50, ms",
    "first.p99": "first token, p99, ms",
    "request.cpu": "CPU µs a request of one token",
    "delay.p50": "model to client, p50, ms",
    "delay.p99": "model to client, p99, ms",
    "rss.peak": "RSS at its most, MiB",
    "idle.kib": "KiB an idle stream",
}


@dataclass
class Results:
    """The figures of all rounds.

    Attributes:
        rounds: Of each contender, for each figure, the values of the rounds.
        skipped: Who could not be installed, and why.
        failures: Of whom which workload failed, and how.
    """

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, name: str, figures: Figures) -> None:
        """Note the figures of one round."""
        for figure, value in figures.items():
            self.rounds.setdefault(name, {}).setdefault(figure, []).append(value)

    def last(self, name: str) -> Figures:
        """Return the figures of the last round."""
        return {figure: values[-1] for figure, values in self.rounds.get(name, {}).items()}

    def median(self, name: str, figure: str) -> float | None:
        """Return the median of the rounds; None if there is none."""
        values = self.rounds.get(name, {}).get(figure)
        return median(values) if values else None


def machine() -> dict[str, str]:
    """Describe what was measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "Python": platform.python_version(),
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
    }


def table(results: Results, contenders: list[Contender]) -> str:
    """Return a Markdown table of the medians: a row for each figure, a column for each contender."""
    names = [each.name for each in contenders if each.name in results.rounds]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for figure, title in FIGURES.items():
        cells = [_cell(results, name, figure) for name in names]
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(results: Results, name: str, figure: str) -> str:
    if figure.partition(".")[0] in results.failures.get(name, {}):
        return "lost tokens"
    value = results.median(name, figure)
    return "" if value is None else f"{value:,.{0 if value >= 100 else 1}f}"
