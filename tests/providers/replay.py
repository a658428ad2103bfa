"""A server that speaks as the providers do; what it says is chosen by the URL that it is asked at.

Which reply of a script is due is in the history that a request brings along, as with the providers
themselves.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.providers.scenarios import SCENARIOS
from tests.providers.script import Failure, Reply
from tests.providers.wires.anthropic import Anthropic
from tests.providers.wires.base import Wire
from tests.providers.wires.google import Google
from tests.providers.wires.ollama import Ollama
from tests.providers.wires.openai_chat import OpenAIChat
from tests.providers.wires.openai_responses import OpenAIResponses
from tests.servers import answering

WIRES: dict[str, Wire] = {
    "openai": OpenAIChat(),
    "openai-responses": OpenAIResponses(),
    "anthropic": Anthropic(),
    "google": Google(),
    "ollama": Ollama(),
}


@dataclass
class Replay:
    """A running server.

    Attributes:
        url: The start of its URLs; `/<scenario>/<wire>` comes after it. A scenario's name may be
            followed by `@` and a word: then each request with that word is the next call, whatever
            is in its history.
        requests: The bodies that it got, by scenario, with the word.
        left: The scenarios whose clients hung up on a reply that does not end.
    """

    url: str = ""
    requests: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    left: list[str] = field(default_factory=list)


@contextmanager
def replaying() -> Iterator[Replay]:
    """Run the server."""
    replay = Replay()
    with answering(partial(_Handler, replay)) as port:
        replay.url = f"http://127.0.0.1:{port}"
        yield replay


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, replay: Replay, *args: Any) -> None:
        self.replay = replay
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer a call of a model."""
        _, self.scenario, name, path = self.path.split("/", 3)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wire = WIRES[name]
        said = self._next(wire, body)
        if isinstance(said, Failure):
            self._send_json(*wire.failure(said))
        elif wire.streams(path, body):
            self._stream(wire, said, body)
        else:
            self._send_json(200, {}, wire.whole(said, body))

    def _next(self, wire: Wire, body: dict[str, Any]) -> Reply | Failure:
        requests = self.replay.requests[self.scenario]
        requests.append(body)
        name, counted, _ = self.scenario.partition("@")
        number = len(requests) - 1 if counted else wire.turn(body)
        said = SCENARIOS[name][number]
        return replace(said, number=number) if isinstance(said, Reply) else said

    def _send_json(self, status: int, headers: dict[str, str], body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, wire: Wire, reply: Reply, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", wire.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = list(wire.pieces(reply, body))
        middle = len(pieces) // 2
        for piece in pieces[:middle]:
            self._write(piece)
        if reply.ending == "endless":
            self._repeat(pieces[middle])
            return
        for piece in pieces[middle:]:
            self._write(piece)
        if reply.ending == "cut":
            self.close_connection = True  # without the last chunk
        elif reply.ending == "hang":
            self._hang()
        elif isinstance(reply.ending, Failure):
            self._write(wire.failure_event(reply.ending))
            self._write(b"")
        else:
            for piece in wire.ending(reply, body):
                self._write(piece)
            self._write(b"")

    def _repeat(self, piece: bytes) -> None:
        """Say the same until the client has had enough."""
        try:
            while True:
                self._write(piece)
                time.sleep(0.01)
        except OSError:
            self.replay.left.append(self.scenario)
            self.close_connection = True

    def _hang(self) -> None:
        """Say nothing more until the client has had enough."""
        self.connection.recv(1)
        self.replay.left.append(self.scenario)
        self.close_connection = True

    def _write(self, data: bytes) -> None:
        """Write a chunk; an empty one is the last."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
