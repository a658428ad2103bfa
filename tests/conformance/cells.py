"""A cell of the matrix: what a client receives, and the problems with it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import httpx
from websockets.sync.client import ClientConnection, connect

from quart_lanarky.protocols.sse import Decoder
from tests.conformance.models import SECRET, Behaviour
from tests.conformance.rows import Row, as_body
from tests.servers import Server

Transport = Literal["sse", "ws"]
Mode = Literal["json", "text"]
Cache = Literal["none", "cold", "warm"]
CACHES: tuple[Cache, ...] = ("none", "cold", "warm")

Frame = tuple[str, Any]
"""The name and the data of an event: the JSON value, or the bare text."""


@dataclass(frozen=True)
class Column:
    """Where and how the chain of a row runs; the three caches are its cells."""

    transport: Transport
    mode: Mode
    behaviour: Behaviour

    def __str__(self) -> str:
        return f"{self.transport}-{self.mode}-{self.behaviour}"


COLUMNS = [
    Column(transport, mode, behaviour)
    for transport in ("sse", "ws")
    for mode in ("json", "text")
    for behaviour in ("stream", "whole", "sync")
]


class Client:
    """Asks the server for any cell of the matrix."""

    def __init__(self, server: Server) -> None:
        self.server = server
        # Loading certificates that nobody needs here would take longer than the requests.
        self.http = httpx.Client(base_url=server.url, timeout=30, verify=False)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def ask_all(self, row: Row, column: Column) -> Iterator[tuple[Cache, list[Frame]]]:
        """Yield the frames with no cache, with a cold and with a warm one."""
        name = uuid4().hex
        for cache in CACHES:
            yield cache, self.ask(row, column, "" if cache == "none" else name)

    def ask(self, row: Row, column: Column, cache: str = "") -> list[Frame]:
        """Return the frames of one answer."""
        path, query = f"/{column.mode}/{row.id}", f"?behaviour={column.behaviour}&cache={cache}"
        if column.transport == "ws":
            with self.socket(f"{path}/ws{query}") as connection:
                return turn(connection, as_body(row.inputs))
        return self.post(path + query, as_body(row.inputs), column.mode)

    def post(self, path: str, body: Any, mode: Mode = "json", **options: Any) -> list[Frame]:
        """Return the frames of a stream of server-sent events."""
        response = self.http.post(path, json=body, **options)
        if response.status_code != 200:
            return [("error", f"{response.status_code} {response.text}")]
        return [
            (event.name, event.data if _is_bare(event.name, mode) else event.json())
            for event in Decoder().feed(response.content)
        ]

    def document(self, row: Row) -> Any:
        """Return the JSON response of the row's chain."""
        response = self.http.post(
            f"/json/{row.id}?behaviour=stream",
            json=as_body(row.inputs),
            headers={"Accept": "application/json"},
        )
        assert response.status_code == 200, response.text
        return response.json()

    def socket(self, path: str, **options: Any) -> ClientConnection:
        """Open a WebSocket."""
        return connect(self.server.ws_url + path, **options)


def _is_bare(name: str, mode: Mode) -> bool:
    return mode == "text" and name in {"completion", "end"}


def turn(connection: ClientConnection, body: Any) -> list[Frame]:
    """Send a message and return the frames of its answer."""
    connection.send(json.dumps(body))
    frames: list[Frame] = []
    while not frames or frames[-1][0] != "end":
        frame = json.loads(connection.recv(timeout=30))
        frames.append((frame["event"], frame["data"]))
    return frames


# -- what is wrong -------------------------------------------------------------------------


def token(data: Any) -> str:
    """Return the token that a `completion` event has, in either mode."""
    text: str = data["token"] if isinstance(data, dict) else data
    return text


def tokens_kept(frames: list[Frame]) -> list[str]:
    """Return the tokens that are left after all `retract` events."""
    kept: list[str] = []
    for name, data in frames:
        if name == "completion":
            kept.append(token(data))
        elif name == "retract":
            del kept[max(0, len(kept) - data["tokens"]) :]
    return kept


def problems(row: Row, column: Column, cache: Cache, frames: list[Frame]) -> Iterator[str]:
    """Yield the problems with the frames of a cell."""
    yield from _wrong_answer(row, frames)
    yield from _wrong_order(row, column, frames)
    yield from _wrong_number(row, column, cache, frames)
    yield from _wrong_retracts(row, column, cache, frames)
    if row.documents is not None:
        yield from _wrong_documents(row, frames)
    if row.interrupts is not None:
        yield from _wrong_interrupts(row, frames)
    yield from (f"error: {data}" for name, data in frames if name == "error")


def _wrong_answer(row: Row, frames: list[Frame]) -> Iterator[str]:
    answer = "".join(tokens_kept(frames))
    if answer != row.answer and not (row.structured and _is_json(answer, row.output)):
        yield f"the answer is {answer!r} and not {row.answer!r}"
    said = "".join(token(data) for name, data in frames if name == "completion")
    if SECRET in said and SECRET not in row.answer and row.retracts == "never":
        yield f"{SECRET} leaked: {said!r}"


def _is_json(text: str, value: Any) -> bool:
    """Tell whether a text is a value as JSON; a model may write it in another way than we."""
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return False


def _wrong_order(row: Row, column: Column, frames: list[Frame]) -> Iterator[str]:
    names = [name for name, _ in frames]
    while names and names[0] in {"completion", "retract"}:
        names.pop(0)
    expected = ["end"] if row.documents is None else ["source_documents", "end"]
    if row.interrupts is not None:
        expected.insert(-1, "interrupt")
    if names != expected:
        yield f"after the tokens come {names} and not {expected}"
    end = frames[-1][1]
    outcome = "finished" if row.interrupts is None else "interrupted"
    if end != "" if column.mode == "text" else not _is_end(end, outcome):
        yield f"the end event says {end!r}"


def _is_end(data: dict[str, Any], outcome: str) -> bool:
    return list(data) == ["run_id", "usage", "outcome"] and data["outcome"] == outcome


def _wrong_number(row: Row, column: Column, cache: Cache, frames: list[Frame]) -> Iterator[str]:
    """Yield a problem if the answer came in too many or too few events."""
    number = len(tokens_kept(frames))
    if row.interrupts is not None and not row.answer:
        return
    expected = _streams(row, column, cache)
    if expected is True and number < 2:
        yield f"the answer came in {number} events; it was to stream"
    if expected is False and number != 1:
        yield f"the answer came in {number} events and not in one"


def _streams(row: Row, column: Column, cache: Cache) -> bool | None:
    """Return whether the answer of a cell comes in several events, or None where it may."""
    if row.whole_with_a_cache and cache != "none":
        return None
    if row.streams != "model":
        return {"always": True, "never": False, "any": None}[row.streams]
    if column.behaviour == "sync":
        return None  # LangChain decides whether it streams such a model
    if column.behaviour == "stream" and cache == "warm" and not row.caches:
        return None
    return column.behaviour == "stream" and cache != "warm"


def _wrong_retracts(row: Row, column: Column, cache: Cache, frames: list[Frame]) -> Iterator[str]:
    retracts = [data for name, data in frames if name == "retract"]
    if retracts and row.retracts == "never":
        yield f"tokens were taken back: {retracts}"
    must = row.retracts == "must" and column.behaviour == "stream" and cache != "warm"
    if must and not retracts:
        yield "no token was taken back; the row no longer shows that this works"
    left = 0
    for name, data in frames:
        left += (name == "completion") - (data["tokens"] if name == "retract" else 0)
        if name == "retract" and (left < 0 or data["tokens"] < 1):
            yield f"a retract event takes back {data['tokens']} tokens and leaves {left}"


def _wrong_documents(row: Row, frames: list[Frame]) -> Iterator[str]:
    for name, data in frames:
        if name == "source_documents":
            yield from wrong_documents(row, data["source_documents"])


def _wrong_interrupts(row: Row, frames: list[Frame]) -> Iterator[str]:
    for name, data in frames:
        if name == "interrupt":
            yield from wrong_interrupts(row, data["interrupts"])


def wrong_interrupts(row: Row, interrupts: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the problems with what a graph waits for; parallel steps ask in any order."""
    values = sorted(json.dumps(each["value"]) for each in interrupts)
    expected = sorted(map(json.dumps, row.interrupts or ()))
    if values != expected:
        yield f"the interrupts are {values} and not {expected}"


def wrong_documents(row: Row, documents: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the problems with the source documents."""
    texts = tuple(document["page_content"] for document in documents)
    if texts != (row.documents or ()):
        yield f"the documents are {texts} and not {row.documents}"
    metadata = tuple(document["metadata"] for document in documents)
    if row.metadata is not None and metadata != row.metadata:
        yield f"the metadata are {metadata} and not {row.metadata}"
