"""Mixed traffic with random faults, for as long as it takes: `python -m tests.faults.soak`.

One worker serves on one core, this process asks on the other: as many clients as keep both busy.
Those that stay must get their own answer, whole, with its `end`; those that misbehave must harm
no other; the process must not grow, nor keep anything of theirs, and it must exit when it is told.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.sse import Decoder
from tests.faults.clients import Vitals, connect, cut, post, vitals
from tests.faults.frames import CLOSE, close_frame, frame, read_frame, upgrade
from tests.servers import Server, served

APP = "tests.faults.app:app"

CLIENTS = 40
"""How many are active at once: more only wait longer."""

NUMBERS = 20
"""How many tokens an answer has."""

PAGES = 16
"""How much a slow reader reads, in tokens of 64 KiB."""

PATIENCE = 30.0
"""Seconds after which a client takes its answer for lost."""

CALM = 10.0
"""Seconds in which everything of disconnected clients must be released."""

WARM_UP = 1 / 3
"""The part of the time in which memory may still grow: caches fill, pools reach their size."""

LEFT_BEHIND = ("live", "sessions", "chains", "our_tasks", "tasks", "fds")

COMPLAINTS = ("never retrieved", "never awaited", "Exception in callback", "was destroyed")
"""What asyncio and Python say of tasks and coroutines that were lost."""


@dataclass
class Report:
    """What was seen."""

    done: Counter[str] = field(default_factory=Counter)
    crossed: Counter[str] = field(default_factory=Counter)
    endless: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    first: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    exit_seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    def check(self, kind: str, question: str, said: str, *, is_whole: bool = True) -> None:
        """Check the answer of a client that stayed connected: its own, and all of it."""
        words = said.split()
        self.tokens += len(words)
        if any(not word.startswith(f"{question}:") for word in words):
            self.crossed[kind] += 1
        size = NUMBERS if is_whole else len(words)
        if words != [f"{question}:{number}" for number in range(size)]:
            self.wrong[kind] += 1

    @property
    def rss_by_thirds(self) -> list[float]:
        """The median memory of each third of the time, in MB."""
        third = max(1, len(self.rss) // 3)
        parts = (self.rss[:third], self.rss[third:-third], self.rss[-third:])
        return [statistics.median(part or self.rss) / 2**20 for part in parts]

    @property
    def growth(self) -> float:
        """By how much memory grew from the middle third to the last, as a ratio."""
        _, middle, last = self.rss_by_thirds
        return last / middle

    @property
    def has_grown(self) -> bool:
        """Whether memory grew by more than that of a process without a leak does."""
        return self.growth > 1.1

    def problems(self) -> list[str]:
        """Return what should not have been."""
        found = [
            f"{sum(kinds.values())} {what}: {dict(kinds)}"
            for what, kinds in {
                "crossed answers": self.crossed,
                "without end": self.endless,
                "wrong answers": self.wrong,
            }.items()
            if kinds
        ]
        if self.has_grown:
            found.append(f"memory grew by {self.growth - 1:.0%}")
        found += [
            f"{what}: {self.before[what]} before, {self.after[what]} after"
            for what in LEFT_BEHIND
            if self.after[what] > self.before[what]
        ]
        if self.exit_code != 0 or self.exit_seconds > 1:
            found.append(f"exit code {self.exit_code} after {self.exit_seconds:.1f} s")
        return found + self.complaints

    def table(self) -> str:
        """Return the figures, for people."""
        first = sorted(self.first)
        busy = (self.after["cpu"] - self.before["cpu"]) / self.seconds
        thirds = ", ".join(f"{each:.0f}" for each in self.rss_by_thirds)
        rows = {
            "seconds": f"{self.seconds:.0f}",
            "clients": f"{sum(self.done.values())}, {CLIENTS} at once",
            **{f"  {kind}": str(number) for kind, number in sorted(self.done.items())},
            "tokens a second": f"{self.tokens / self.seconds:.0f}, to clients that stay",
            "the server's core": f"{busy:.0%} busy",
            "first token, p50": f"{first[len(first) // 2] * 1e3:.0f} ms",
            "first token, p99": f"{first[len(first) * 99 // 100] * 1e3:.0f} ms",
            "RSS by thirds": f"{thirds} MB: {self.growth - 1:+.1%} from the second to the third",
            "crossed, without end, wrong": ", ".join(
                str(sum(each.values())) for each in (self.crossed, self.endless, self.wrong)
            ),
            **{
                f"{what} before and after": f"{self.before[what]}, {self.after[what]}"
                for what in LEFT_BEHIND
            },
            "exit": f"code {self.exit_code} after {self.exit_seconds:.2f} s",
        }
        return "\n".join(f"{name:32} {value}" for name, value in rows.items())


_numbers = count()


def new_question() -> str:
    """Return what no other client asks now; few enough for the models, which note them all."""
    return f"q{next(_numbers) % 1000}"


# -- clients that stay ---------------------------------------------------------------------


async def read_head(reader: asyncio.StreamReader) -> int:
    """Return the status of an answer."""
    return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


async def read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the chunks of an answer, up to its last one."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")


async def ask_sse(server: Server, report: Report, mode: str) -> None:
    question = new_question()
    reader, writer = await connect(server)
    asked_at = time.monotonic()
    writer.write(post(f"/echo/{mode}", {"question": question}))
    assert await read_head(reader) == 200
    decoder, events = Decoder(), list[EncodedEvent]()
    async for chunk in read_chunks(reader):
        if not events:
            report.first.append(time.monotonic() - asked_at)
        events += decoder.feed(chunk)
    writer.close()
    if events.pop().name != "end":
        report.endless[f"sse {mode}"] += 1
    tokens = [event.data if mode == "text" else event.json()["token"] for event in events]
    report.check(f"sse {mode}", question, "".join(tokens))


async def ask_sse_json(server: Server, report: Report) -> None:
    await ask_sse(server, report, "json")


async def ask_sse_text(server: Server, report: Report) -> None:
    await ask_sse(server, report, "text")


async def ask_json(server: Server, report: Report) -> None:
    question = new_question()
    reader, writer = await connect(server)
    headers = {"Accept": "application/json", "Connection": "close"}
    writer.write(post("/echo/json", {"question": question}, **headers))
    assert await read_head(reader) == 200
    answer = json.loads(await reader.read())
    writer.close()
    report.check("json", question, answer["output"])


async def read_turn(reader: asyncio.StreamReader) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    while not frames or frames[-1]["event"] != "end":
        frames.append(json.loads((await read_frame(reader))[1]))
    return frames


async def talk(server: Server, report: Report) -> None:
    """Have several turns on one WebSocket, and stop every other one at its first token."""
    reader, writer = await upgrade(server, "/echo/json/ws")
    for turn in range(4):
        question = new_question()
        writer.write(frame(question))
        first = json.loads((await read_frame(reader))[1])
        if turn % 2:
            writer.write(frame('{"event": "stop"}'))
        said = [each["data"]["token"] for each in [first, *(await read_turn(reader))[:-1]]]
        report.check("websocket", question, "".join(said), is_whole=not turn % 2)
    writer.write(close_frame(1000))
    assert (await read_frame(reader))[0] == CLOSE
    writer.close()


async def read_slowly(server: Server, report: Report) -> None:
    """Read megabytes with long pauses, and get all of them."""
    reader, writer = await connect(server, receive_buffer=2**14)
    writer.write(post(f"/book?pages={PAGES}", {"question": "a book"}))
    assert await read_head(reader) == 200
    decoder, events = Decoder(), list[EncodedEvent]()
    async for chunk in read_chunks(reader):
        events += decoder.feed(chunk)
        await asyncio.sleep(random.random() * 0.1)
    writer.close()
    if events.pop().name != "end":
        report.endless["slow reader"] += 1
    words = "".join(event.json()["token"] for event in events).split()
    if words != [f"{number:07}" for number in range(PAGES * 8192)]:
        report.wrong["slow reader"] += 1


async def stop_a_stubborn_chain(server: Server, report: Report) -> None:
    """Get the `end` although the chain ignores that it is stopped."""
    reader, writer = await upgrade(server, "/stubborn/ws?seconds=6")
    writer.write(frame("go on"))
    await read_frame(reader)
    writer.write(frame('{"event": "stop"}'))
    await read_turn(reader)
    writer.transport.abort()


async def ask_a_failing_chain(server: Server, report: Report) -> None:
    reader, writer = await connect(server)
    writer.write(post("/failing", {"question": "fail"}))
    assert await read_head(reader) == 200
    decoder, events = Decoder(), list[EncodedEvent]()
    async for chunk in read_chunks(reader):
        events += decoder.feed(chunk)
    writer.close()
    if [event.name for event in events] != ["completion", "error", "end"]:
        report.wrong["failing chain"] += 1


# -- clients that do not -------------------------------------------------------------------


async def disconnect_from_a_stream(server: Server, report: Report) -> None:
    _, writer = await connect(server)
    writer.write(post("/paced?delay=0.005", {"question": "leave"}))
    await asyncio.sleep(random.random() * 0.3)
    random.choice((cut, asyncio.StreamWriter.close))(writer)


async def disconnect_before_a_json_response(server: Server, report: Report) -> None:
    _, writer = await connect(server)
    writer.write(post("/paced?delay=0.005", {"question": "leave"}, Accept="application/json"))
    await asyncio.sleep(random.random() * 0.3)
    random.choice((cut, asyncio.StreamWriter.close))(writer)


async def disconnect_from_a_websocket(server: Server, report: Report) -> None:
    _, writer = await upgrade(server, "/paced/ws?delay=0.005")
    writer.write(frame("leave"))
    await asyncio.sleep(random.random() * 0.3)
    random.choice((cut, asyncio.StreamWriter.close))(writer)


async def stop_reading(server: Server, report: Report) -> None:
    _, writer = await connect(server, receive_buffer=2**14)
    writer.write(post("/wide", {"question": "stall"}))
    await asyncio.sleep(random.random() * 2)
    cut(writer)


async def send_nonsense(server: Server, report: Report) -> None:
    _, writer = await upgrade(server, "/echo/json/ws")
    writer.write(random.randbytes(random.randrange(1, 2_000)))
    await asyncio.sleep(random.random() * 0.2)
    writer.transport.abort()


async def send_bad_messages(server: Server, report: Report) -> None:
    reader, writer = await upgrade(server, "/echo/json/ws")
    writer.write(frame("{not json") + frame('{"qestion": 1}') + frame(b"\0\1", 2))
    for _ in range(3):
        if [each["event"] for each in await read_turn(reader)] != ["error", "end"]:
            report.wrong["bad messages"] += 1
    writer.transport.abort()


async def flood_with_turns(server: Server, report: Report) -> None:
    reader, writer = await upgrade(server, "/paced/ws")
    writer.write(frame("more") * 50)
    opcode, payload = 0, b""
    while opcode != CLOSE:
        opcode, payload = await read_frame(reader)
    if int.from_bytes(payload[:2]) != 1008:
        report.wrong["flood of turns"] += 1
    writer.transport.abort()


async def disconnect_from_a_stubborn_chain(server: Server, report: Report) -> None:
    _, writer = await connect(server)
    writer.write(post("/stubborn?seconds=0.5", {"question": "go"}))
    await asyncio.sleep(random.random() * 0.3)
    cut(writer)


Client = Callable[[Server, Report], Awaitable[None]]

KINDS: dict[Client, int] = {
    ask_sse_json: 30,
    ask_sse_text: 15,
    ask_json: 10,
    talk: 15,
    read_slowly: 1,
    ask_a_failing_chain: 3,
    stop_a_stubborn_chain: 1,
    disconnect_from_a_stream: 5,
    disconnect_before_a_json_response: 3,
    disconnect_from_a_websocket: 5,
    disconnect_from_a_stubborn_chain: 1,
    stop_reading: 1,
    send_nonsense: 3,
    send_bad_messages: 3,
    flood_with_turns: 2,
}
"""The kinds of clients, and how often each connects."""


# -- the run -------------------------------------------------------------------------------


async def soak(server: Server, seconds: float) -> Report:
    """Let clients come for so many seconds; return what was seen."""
    report = Report(before=await vitals(server, "?collect"))
    # For what they need at once, the process keeps: so it has its size from the start.
    await asyncio.gather(*(come(kind, server, Report()) for kind in [*KINDS, *[stop_reading] * 8]))
    started_at = time.monotonic()
    watching = asyncio.create_task(watch_memory(server, report))
    for _ in range(2):
        report.rss.clear()
        until = time.monotonic() + seconds
        await asyncio.gather(*(come_again(server, report, until) for _ in range(CLIENTS)))
        if not report.has_grown:
            break  # else repeat: a process may reach its final size late, but a leak grows again
    watching.cancel()
    report.seconds = time.monotonic() - started_at
    report.after = await when_calm(server, report.before)
    return report


async def come_again(server: Server, report: Report, until: float) -> None:
    kinds, weights = list(KINDS), list(KINDS.values())
    while time.monotonic() < until:
        [kind] = random.choices(kinds, weights)
        await come(kind, server, report)


async def come(kind: Client, server: Server, report: Report) -> None:
    report.done[kind.__name__] += 1
    try:
        async with asyncio.timeout(PATIENCE):
            await kind(server, report)
    except (TimeoutError, EOFError, ConnectionError):  # a stream that stopped or was disconnected
        report.endless[kind.__name__] += 1
    except AssertionError:
        report.wrong[kind.__name__] += 1


async def watch_memory(server: Server, report: Report) -> None:
    while True:
        report.rss.append((await vitals(server))["rss"])
        await asyncio.sleep(0.5)


async def when_calm(server: Server, before: Vitals) -> Vitals:
    """Return what is alive when it is no more than before, or when it should be."""
    deadline = time.monotonic() + CALM
    while True:
        found = await vitals(server, "?collect")
        if time.monotonic() > deadline or all(found[each] <= before[each] for each in LEFT_BEHIND):
            return found
        await asyncio.sleep(0.2)


def run(seconds: float) -> Report:
    """Start a server on one core, soak it from the others, and stop it."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.sched_setaffinity(0, cores[:1])  # the server inherits it
            with served(APP, Path(folder), workers=1, LOG_LEVEL="ERROR") as server:
                asyncio.run(vitals(server))  # it is up, and so are its threads
                os.sched_setaffinity(0, cores[1:] or cores)
                report = asyncio.run(soak(server, seconds))
                stop(server, report)
        finally:
            os.sched_setaffinity(0, cores)
    return report


def stop(server: Server, report: Report) -> None:
    """Record how the server exits, and the errors in its log."""
    signalled_at = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        report.exit_code = server.process.wait(20)
    report.exit_seconds = time.monotonic() - signalled_at
    report.complaints = [
        line for line in server.log().splitlines() if any(each in line for each in COMPLAINTS)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    report = run(parser.parse_args().minutes * 60)
    print(report.table())  # noqa: T201
    if problems := report.problems():
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
