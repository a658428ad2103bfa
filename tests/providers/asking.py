"""Ask the app of these tests over any transport, and get what a client makes of it."""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from tests.conformance.cells import Client, Frame, token, tokens_kept, turn

Transport = Literal["sse", "ws", "json"]
TRANSPORTS: tuple[Transport, ...] = ("sse", "ws", "json")
STREAMS: tuple[Transport, ...] = ("sse", "ws")

QUESTION = {"question": "What is new?"}
MESSAGES = {"messages": [{"role": "user", "content": "What is new?"}]}


@dataclass(frozen=True)
class Heard:
    """What a client has got.

    Attributes:
        answer: The text, or the value of a JSON response.
        error: The payload of `error`, or the same of a JSON response and its header `Retry-After`
            as `header`; None without one.
        usage: What `end` says that it cost; a JSON response does not.
        frames: The events, where there are any.
    """

    answer: Any
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    frames: tuple[Frame, ...] = ()

    @property
    def names(self) -> list[str]:
        """Return the names of the events, of those in a row only one."""
        names = [name for name, _ in self.frames]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]

    @property
    def said(self) -> str:
        """Return all tokens, also those that were taken back."""
        return "".join(token(data) for name, data in self.frames if name == "completion")


def ask(client: Client, transport: Transport, path: str, body: Any, **query: str) -> Heard:
    """Ask a route over a transport."""
    if transport == "json":
        return _json_response(client, f"{path}?{urlencode(query)}", body)
    if transport == "ws":
        with client.socket(f"{path}/ws?{urlencode(query)}") as connection:
            return _streamed(turn(connection, body))
    return _streamed(client.post(f"{path}?{urlencode(query)}", body))


def _streamed(frames: list[Frame]) -> Heard:
    named = dict(frames)
    assert [name for name, _ in frames].count("end") == 1, frames
    assert frames[-1][0] == "end", frames
    return Heard(
        "".join(tokens_kept(frames)), named.get("error"), named["end"]["usage"], tuple(frames)
    )


def _json_response(client: Client, path: str, body: Any) -> Heard:
    response = client.http.post(path, json=body, headers={"Accept": "application/json"})
    found = response.json()
    if response.status_code != 200:
        header = response.headers.get("Retry-After")
        return Heard("", {**found, "status_code": response.status_code, "header": header}, None)
    return Heard(found["output"], None, None)
