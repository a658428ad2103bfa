"""The command: `python -m benchmarks`, or `make bench`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .charts import draw_contenders, draw_growth
from .clients import IncompleteAnswerError
from .contenders import BY_HAND, CONTENDERS, OURS, Contender, NotInstallableError
from .reports import RESULTS, Results, goals, header, import_time, tables
from .servers import CLIENT_CORE, pin
from .workloads import GROWTH, LONG, WORKLOADS, measure


def main() -> None:
    """Measure, print the tables, and write the files."""
    asked = arguments()
    pin(CLIENT_CORE)
    contenders = [c for c in CONTENDERS if any(map(c.name.startswith, asked.only))]
    results = Results()
    asyncio.run(take_turns(results, contenders, asked.workloads, asked.rounds))
    growing = [c for c in contenders if c.name in (OURS, BY_HAND)] if asked.growth else []
    asyncio.run(take_turns(results, growing, list(GROWTH), min(asked.rounds, 3)))
    results.about = header(results, contenders, import_time())
    report = "\n\n".join([results.about, tables(results, contenders), goals(results)])
    print(report)
    asked.results.mkdir(exist_ok=True)
    (asked.results / "results.json").write_text(json.dumps(results.as_dict(), indent=1) + "\n")
    (asked.results / "results.md").write_text(report + "\n")
    draw_contenders(results, asked.results / "contenders.png")
    if growing:
        draw_growth(results, asked.results / "growth.png")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often, in turn (%(default)s)")
    parser.add_argument("--only", nargs="*", default=[""], help="contenders whose names begin so")
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument(
        "--growth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether to see how the cost grows, in three rounds (%(default)s)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the files go")
    return parser.parse_args()


async def take_turns(
    results: Results, contenders: Sequence[Contender], workloads: Sequence[str], rounds: int
) -> None:
    """Measure each contender's workloads, round after round."""
    for round_ in range(rounds):
        for workload in workloads:
            for contender in contenders:
                is_left_out = contender.seldom and workload in LONG
                if contender.name not in results.skipped and not is_left_out:
                    print(f"round {round_ + 1}, {workload}: {contender.name}", file=sys.stderr)
                    await take_turn(results, contender, workload)


async def take_turn(results: Results, contender: Contender, workload: str) -> None:
    """Measure one contender's workload, and note what comes of it."""
    try:
        figures = await measure(contender, workload, results.last(contender.name))
    except NotInstallableError as error:
        results.skipped[contender.name] = str(error)
    except IncompleteAnswerError as error:
        results.failures[contender.name][workload] = str(error)
    else:
        results.add(contender.name, figures)


main()
