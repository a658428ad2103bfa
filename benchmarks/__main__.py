"""The command: `python -m benchmarks`, or `make bench`."""

import argparse
import asyncio
import sys
from pathlib import Path

from .contenders import CONTENDERS, Contender, NotInstallableError
from .reports import Results, draw, header, table
from .servers import CLIENT_CORE, pin
from .workloads import WORKLOADS, IncompleteAnswersError, measure

RESULTS = Path(__file__).parent / "results"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often, in turn (%(default)s)")
    parser.add_argument("--only", nargs="*", default=[""], help="contenders whose names begin so")
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the files go")
    return parser.parse_args()


async def take_turns(
    contenders: list[Contender], workloads: list[str], rounds: int
) -> Results:
    """Measure each contender's workloads, round after round."""
    results = Results()
    for round_ in range(rounds):
        for workload in workloads:
            for contender in contenders:
                if contender.name in results.skipped:
                    continue
                print(f"round {round_ + 1}, {workload}: {contender.name}", file=sys.stderr)
                try:
                    figures = await measure(contender, workload, results.last(contender.name))
                except NotInstallableError as error:
                    results.skip(contender.name, str(error))
                except IncompleteAnswersError as error:
                    results.fail(contender.name, workload, str(error))
                else:
                    results.add(contender.name, figures)
    return results
