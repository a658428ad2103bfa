"""What is measured: each workload gives some figures of one contender, by their names."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from .clients import Answer, IncompleteAnswerError, Target, ask, ask_all, hold
from .contenders import Contender
from .servers import Process, running, serving

__all__ = [
    "GROWTH",
    "GROWTH_STREAMS",
    "GROWTH_TOKENS",
    "LONG",
    "WORKLOADS",
    "Figures",
    "measure",
    "percentile",
]

Figures = dict[str, float]

LONGEST_GAP = 0.15
"""Seconds between two tokens that readers put up with."""

CAPACITY_STEP = 1.1
"""How exactly capacity is known: to 10 %."""


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that `part` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def complete(answers: Sequence[Answer | BaseException]) -> list[Answer]:
    """Return the answers if all of them are complete.

    Raises:
        IncompleteAnswerError: Some are not.
    """
    good = [answer for answer in answers if isinstance(answer, Answer)]
    if len(good) < len(answers):
        raise IncompleteAnswerError(f"{len(answers) - len(good)} of {len(answers)} incomplete")
    return good


# -- with a server -------------------------------------------------------------------------


async def single(process: Process, target: Target, before: Figures) -> Figures:
    """One stream of 500 tokens at full speed, 20 times one after the other."""
    await ask(target, 500)
    used, began_at = process.cpu, time.monotonic()
    for _ in range(20):
        await ask(target, 500)
    seconds = time.monotonic() - began_at
    return {
        "single.cpu": (process.cpu - used) / 20 / 500 * 1e6,
        "single.rate": 20 * 500 / seconds,
    }


async def crowd(process: Process, target: Target, before: Figures) -> Figures:
    """100 streams of 200 tokens at once, at full speed, twice."""
    await ask(target, 200)
    used, began_at = process.cpu, time.monotonic()
    for _ in range(2):
        complete(await ask_all(target, 100, 200))
    seconds = time.monotonic() - began_at
    return {
        "crowd.cpu": (process.cpu - used) / 2 / 100 / 200 * 1e6,
        "crowd.rate": 2 * 100 * 200 / seconds,
        "rss.peak": process.memory("VmHWM") / 1024,
    }


async def first(process: Process, target: Target, before: Figures) -> Figures:
    """One token, 200 times one after the other."""
    for _ in range(10):
        await ask(target, 1)
    used = process.cpu
    seconds = [(await ask(target, 1)).first_token for _ in range(200)]
    return {
        "first.p50": percentile(seconds, 0.5) * 1e3,
        "first.p99": percentile(seconds, 0.99) * 1e3,
        "request.cpu": (process.cpu - used) / 200 * 1e6,
    }


async def steps(process: Process, target: Target, before: Figures) -> Figures:
    """One stream of 250 tokens, 20 ms apart: how long each takes from the model to the client."""
    await ask(target, 5)
    delays = (await ask(target, 250, 0.02)).delays
    return {
        "delay.p50": percentile(delays, 0.5) * 1e3,
        "delay.p99": percentile(delays, 0.99) * 1e3,
    }


async def readers(process: Process, target: Target, before: Figures) -> Figures:
    """Streams of 200 tokens 50 ms apart, started 5 ms apart: how many before tokens come late.

    The first round looks everywhere, and each further one near where the last one ended.
    """
    costs: dict[float, float] = {}

    async def keep_pace(streams: float) -> bool:
        used, tokens = process.cpu, 200
        answers = await ask_all(target, round(streams), tokens, pace=0.05, apart=0.005)
        gaps = [gap for answer in complete(answers) for gap in answer.gaps]
        costs[streams] = (process.cpu - used) / round(streams) / tokens * 1e6
        return percentile(gaps, 0.99) <= LONGEST_GAP

    await ask(target, 10)
    last = before.get("readers.capacity")
    most = await _most(keep_pace, last or 200.0, CAPACITY_STEP if last else 2.0)
    return {"readers.capacity": most, "readers.cpu": costs[most]}


async def _most(holds: Callable[[float], Awaitable[bool]], guess: float, factor: float) -> float:
    """Return the largest number for which `holds`, to a tenth; `factor` is the first stride."""
    held = await holds(guess)
    while await holds(beyond := guess * factor if held else guess / factor) == held:
        guess = beyond
    low, high = sorted((guess, beyond))
    while high / low > CAPACITY_STEP * 1.001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if await holds(middle) else (low, middle)
    return low


async def idle(process: Process, target: Target, before: Figures) -> Figures:
    """2,000 streams that have said one word, and nothing more."""
    for _ in range(3):
        await ask(target, 1)
    memory = process.memory()
    connections = await hold(target, 2000)
    held = process.memory() - memory
    for connection in connections:
        connection.abort()
    return {"idle.kib": held / 2000}


Workload = Callable[[Process, Target, Figures], Awaitable[Figures]]

WORKLOADS: Mapping[str, Workload] = {
    each.__name__: each for each in (single, crowd, first, steps, readers, idle)
}

LONG = ("readers", "idle")
"""Those that take a minute each."""


# -- how the cost grows --------------------------------------------------------------------


def _grown(streams: int, tokens: int) -> Workload:
    """Measure the CPU time of a token, in so many streams at once of so many tokens each."""

    async def cost(process: Process, target: Target, before: Figures) -> Figures:
        times = max(1, 10_000 // (streams * tokens))  # a short one is soon over
        await ask(target, 10)
        used = process.cpu
        for _ in range(times):
            complete(await ask_all(target, streams, tokens, apart=0.0005))
        return {f"{streams}x{tokens}": (process.cpu - used) / times / streams / tokens * 1e6}

    return cost


GROWTH_STREAMS = (1, 10, 100, 500, 1000, 2000)
GROWTH_TOKENS = (10, 100, 1000, 10_000)

GROWTH: Mapping[str, Workload] = {
    f"{streams}x{tokens}": _grown(streams, tokens)
    for streams, tokens in [*((s, 100) for s in GROWTH_STREAMS), *((1, t) for t in GROWTH_TOKENS)]
}
"""How much a token costs in ever more streams, and in ever longer answers."""


# -- without one ---------------------------------------------------------------------------


LIMITS = {
    "single": ("single.cpu", 1, 500, 20),
    "crowd": ("crowd.cpu", 100, 200, 2),
    "first": ("request.cpu", 1, 1, 200),
}
"""The workloads that can do without a server: the figure, streams, tokens of each, how often."""


def limit(process: Process, workload: str) -> Figures:
    """Have the process without a server do the same work, and return what that cost."""
    figure, streams, tokens, times = LIMITS[workload]
    process.say("1 500 0")
    seconds = sum(float(process.say(f"{streams} {tokens} 0")) for _ in range(times))
    return {figure: seconds / times / streams / tokens * 1e6}


async def measure(contender: Contender, workload: str, before: Figures) -> Figures:
    """Start the contender afresh, and return its figures of one workload.

    Args:
        contender: Who is measured.
        workload: One of `WORKLOADS` or of `GROWTH`.
        before: Its figures of the last round.

    Raises:
        NotInstallableError: It cannot be.
        IncompleteAnswerError: Its clients did not get what they asked for.
    """
    if not contender.is_served:
        if workload not in LIMITS:
            return {}
        with running(contender.full_command) as process:
            return limit(process, workload)
    with serving(contender.full_command) as process:
        target = contender.target(process)
        return await {**WORKLOADS, **GROWTH}[workload](process, target, before)
