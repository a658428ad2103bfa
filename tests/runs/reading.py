"""Read runs in tests."""

from quart_lanarky.events import Event
from quart_lanarky.runs.registry import Reader, RunRegistry
from quart_lanarky.runs.run import Run


async def events_of(run: Run) -> list[Event]:
    async with reading(run) as batches:
        return [event async for batch in batches for event in batch]


def reading(run: Run, heartbeat: float | None = None) -> Reader:
    return RunRegistry().read(run, heartbeat=heartbeat)
