"""Mixed traffic with random faults, for as long as it takes: `python -m tests.faults.soak`.

One worker serves on one core, this process asks on the other: as many clients as keep both busy.
Those that stay must get their own answer, whole, with its `end`; those that misbehave must harm
nobody; and the process must not grow.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from quart_lanarky.events import Event
from quart_lanarky.sse import Decoder
from tests.faults.clients import connect, cut, frame, post, read_frame, upgrade, vitals
from tests.servers import Server, served

CLIENTS = 40
"""How many are active at once: more only wait longer."""

NUMBERS = 20
"""How many tokens an answer has."""

KEEP_ALIVE = 6.0
"""Seconds after which Hypercorn has let go of the connections of clients that have left."""

WARM_UP = 0.2
"""The part of the time in which memory may still grow: caches fill, pools reach their size."""


@dataclass
class Report:
    """What was seen."""

    done: Counter[str] = field(default_factory=Counter)
    crossed: list[str] = field(default_factory=list)
    endless: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def check(self, kind: str, question: str, said: str, *, ended: bool) -> None:
        """Note what a client that stayed has got: its own answer, whole, with its end."""
        self.tokens += NUMBERS
        if not ended:
            self.endless.append(kind)
        if any(not word.startswith(question) for word in said.split()):
            self.crossed.append(kind)
        elif len(said.split()) != NUMBERS:
            self.wrong.append(kind)

    @property
    def growth(self) -> float:
        """By how much memory grew from the middle third to the last, as a ratio."""
        warm = self.rss[int(len(self.rss) * WARM_UP) :]
        third = max(1, len(warm) // 3)
        return statistics.median(warm[-third:]) / statistics.median(warm[-2 * third : -third])

    def problems(self) -> list[str]:
        """Return what should not have been."""
        found = [f"{len(self.crossed)} crossed answers: {Counter(self.crossed)}"] * bool(
            self.crossed
        )
        found += [f"{len(self.endless)} without end: {Counter(self.endless)}"] * bool(self.endless)
        found += [f"{len(self.wrong)} wrong answers: {Counter(self.wrong)}"] * bool(self.wrong)
        found += [f"memory grew by {self.growth - 1:.0%}"] * (self.growth > 1.1)
        for what in ("live", "sessions", "chains", "our_tasks", "fds"):
            if self.after[what] > self.before[what]:
                found.append(f"{what}: {self.before[what]} before, {self.after[what]} after")
        return found

    def table(self) -> str:
        """Return the figures, for people."""
        first = sorted(self.first)
        rows = {
            "seconds": f"{self.seconds:.0f}",
            "clients": f"{sum(self.done.values())}, {CLIENTS} at once",
            **{f"  {kind}": str(count) for kind, count in sorted(self.done.items())},
            "answers a second": f"{self.tokens / NUMBERS / self.seconds:.0f}",
            "tokens a second": f"{self.tokens / self.seconds:.0f}",
            "first token, p50": f"{first[len(first) // 2] * 1e3:.0f} ms",
            "first token, p99": f"{first[len(first) * 99 // 100] * 1e3:.0f} ms",
            "RSS, MB": f"{min(self.rss) >> 20} to {max(self.rss) >> 20}, growth {self.growth:.3f}",
            "crossed / without end / wrong": (
                f"{len(self.crossed)} / {len(self.endless)} / {len(self.wrong)}"
            ),
        }
        return "\n".join(f"{name:32} {value}" for name, value in rows.items())


# -- clients that stay ---------------------------------------------------------------------


async def read_head(reader: asyncio.StreamReader) -> int:
    """Return the status of an answer."""
    return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


async def read_chunks(reader: asyncio.StreamReader) -> list[Event]:
    """Return the events of a chunked answer, up to its end."""
    decoder, events = Decoder(), list[Event]()
    while size := int(await reader.readline(), 16):
        events += decoder.feed((await reader.readexactly(size + 2))[:-2])
    return events


async def ask_sse(server: Server, report: Report, mode: str) -> None:
    question = str(uuid4())
    reader, writer = await connect(server)
    started = time.monotonic()
    writer.write(post(f"/echo/{mode}", {"question": question}))
    await read_head(reader)
    size = int(await reader.readline(), 16)
    report.first.append(time.monotonic() - started)
    decoder = Decoder()
    events = decoder.feed((await reader.readexactly(size + 2))[:-2])
    while size := int(await reader.readline(), 16):
        events += decoder.feed((await reader.readexactly(size + 2))[:-2])
    writer.close()
    tokens = [e.data if mode == "text" else e.json()["token"] for e in events[:-1]]
    report.check(f"sse {mode}", question, "".join(tokens), ended=events[-1].name == "end")


async def ask_sse_json(server: Server, report: Report) -> None:
    await ask_sse(server, report, "json")


async def ask_sse_text(server: Server, report: Report) -> None:
    await ask_sse(server, report, "text")


async def ask_json(server: Server, report: Report) -> None:
    question = str(uuid4())
    reader, writer = await connect(server)
    writer.write(
        post("/echo/json", {"question": question}, Accept="application/json", Connection="close")
    )
    status = await read_head(reader)
    answer = json.loads(await reader.read())
    writer.close()
    report.check("json", question, answer["output"], ended=status == 200)


async def read_turn(reader: asyncio.StreamReader) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    while not frames or frames[-1]["event"] != "end":
        frames.append(json.loads((await read_frame(reader))[1]))
    return frames


async def talk(server: Server, report: Report) -> None:
    """Have several turns on one WebSocket, and stop another one in between."""
    reader, writer = await upgrade(server, "/echo/json/ws")
    for _ in range(3):
        question = str(uuid4())
        writer.write(frame(question))
        frames = await read_turn(reader)
        said = "".join(f["data"]["token"] for f in frames[:-1])
        report.check("websocket", question, said, ended=frames[-1]["event"] == "end")
    writer.transport.abort()


async def stop_a_turn(server: Server, report: Report) -> None:
    reader, writer = await upgrade(server, "/paced/ws?delay=0.01")
    writer.write(frame("stop me"))
    await read_frame(reader)
    writer.write(frame('{"event": "stop"}'))
    frames = await read_turn(reader)
    if any(f["event"] == "error" for f in frames):
        report.wrong.append("stop")
    writer.transport.abort()


async def ask_a_failing_chain(server: Server, report: Report) -> None:
    reader, writer = await connect(server)
    writer.write(post("/failing", {"question": "fail"}))
    await read_head(reader)
    names = [event.name for event in await read_chunks(reader)]
    if names != ["completion", "error", "end"]:
        report.wrong.append("failing")
    writer.close()


# -- clients that do not -------------------------------------------------------------------


async def leave_a_stream(server: Server, report: Report) -> None:
    _, writer = await connect(server)
    writer.write(post("/paced?delay=0.005", {"question": "leave"}))
    await asyncio.sleep(random.random() * 0.3)
    random.choice((cut, asyncio.StreamWriter.close))(writer)


async def leave_a_json_answer(server: Server, report: Report) -> None:
    _, writer = await connect(server)
    writer.write(post("/paced?delay=0.005", {"question": "leave"}, Accept="application/json"))
    await asyncio.sleep(random.random() * 0.3)
    random.choice((cut, asyncio.StreamWriter.close))(writer)


async def leave_a_websocket(server: Server, report: Report) -> None:
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
        if [f["event"] for f in await read_turn(reader)] != ["error", "end"]:
            report.wrong.append("bad message")
    writer.transport.abort()


async def flood_with_turns(server: Server, report: Report) -> None:
    reader, writer = await upgrade(server, "/paced/ws")
    writer.write(frame("more") * 50)
    opcode, payload = 0, b""
    while opcode != 8:
        opcode, payload = await read_frame(reader)
    if int.from_bytes(payload[:2]) != 1008:
        report.wrong.append("flood")
    writer.transport.abort()


async def ask_a_stubborn_chain(server: Server, report: Report) -> None:
    _, writer = await connect(server)
    writer.write(post("/stubborn?seconds=0.5", {"question": "go"}))
    await asyncio.sleep(random.random() * 0.3)
    cut(writer)


Client = Callable[[Server, Report], Awaitable[None]]

CLIENT_KINDS: dict[Client, int] = {
    ask_sse_json: 30,
    ask_sse_text: 15,
    ask_json: 10,
    talk: 15,
    stop_a_turn: 4,
    ask_a_failing_chain: 3,
    leave_a_stream: 5,
    leave_a_json_answer: 3,
    leave_a_websocket: 5,
    stop_reading: 1,
    send_nonsense: 3,
    send_bad_messages: 3,
    flood_with_turns: 2,
    ask_a_stubborn_chain: 1,
}
"""Who comes, and how often."""


# -- the run -------------------------------------------------------------------------------


async def soak(server: Server, seconds: float) -> Report:
    """Let clients come for so many seconds; return what was seen."""
    report = Report()
    for kind in CLIENT_KINDS:  # once, for what is only made once
        await kind(server, Report())
    await asyncio.sleep(KEEP_ALIVE)
    report.before = await vitals(server, "?collect")
    started = time.monotonic()
    watching = asyncio.create_task(watch_memory(server, report))
    await asyncio.gather(*(come_again(server, report, started + seconds) for _ in range(CLIENTS)))
    watching.cancel()
    report.seconds = time.monotonic() - started
    await asyncio.sleep(KEEP_ALIVE)
    report.after = await vitals(server, "?collect")
    return report


async def come_again(server: Server, report: Report, until: float) -> None:
    kinds, weights = list(CLIENT_KINDS), list(CLIENT_KINDS.values())
    while time.monotonic() < until:
        [kind] = random.choices(kinds, weights)
        try:
            async with asyncio.timeout(30):
                await kind(server, report)
        except TimeoutError:
            report.endless.append(kind.__name__)
        except (OSError, EOFError) as error:  # the server has cut a client that should stay
            report.wrong.append(f"{kind.__name__}: {type(error).__name__}")
        report.done[kind.__name__] += 1


async def watch_memory(server: Server, report: Report) -> None:
    while True:
        report.rss.append((await vitals(server))["rss"])
        await asyncio.sleep(0.5)


def run(seconds: float) -> Report:
    """Start a server, soak it, and stop it."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])  # the server's, which inherits it
    with (
        tempfile.TemporaryDirectory() as folder,
        served("tests.faults.app:app", Path(folder), workers=1, LOG_LEVEL="CRITICAL") as server,
    ):
        asyncio.run(_wait_for(server))
        os.sched_setaffinity(0, cores[1:] or cores)
        try:
            return asyncio.run(soak(server, seconds))
        finally:
            os.sched_setaffinity(0, cores)


async def _wait_for(server: Server) -> None:
    await vitals(server)  # it is up, with all its threads' cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    report = run(parser.parse_args().minutes * 60)
    print(report.table())  # noqa: T201
    if problems := report.problems():
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
