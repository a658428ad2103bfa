"""Ollama's chat, as it comes over the wire."""

import json
from collections.abc import Iterator
from typing import Any

from tests.providers.script import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Call,
    Failure,
    Image,
    Part,
    Refusal,
    Reply,
    Search,
    Text,
    Thinking,
    cut,
    texts,
)
from tests.providers.wires.base import Wire, retry_after_header

ERRORS = {
    "rate limit": (429, "too many requests, please try again later"),
    "overload": (503, "server busy, please try again. maximum pending requests exceeded"),
    "too long": (400, "the input length exceeds the context length"),
    "our key": (401, "unauthorized"),
    "broken": (500, "llama runner process has terminated"),
}


class Ollama(Wire):
    """`POST /api/chat`; a JSON line for each piece, the last one with `done`."""

    content_type = "application/x-ndjson"

    def turn(self, body: dict[str, Any]) -> int:
        return sum(message["role"] == "assistant" for message in body["messages"])

    def streams(self, path: str, body: dict[str, Any]) -> bool:
        return body.get("stream", True)

    def pieces(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        for part in reply.parts:
            yield from (_line(message=message) for message in _messages(part))

    def ending(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        if reply.ending != "no finish reason":
            yield _line(**_done({"role": "assistant", "content": ""}))

    def whole(self, reply: Reply, body: dict[str, Any]) -> Any:
        message = {"role": "assistant", "content": texts(reply), "thinking": texts(reply, Thinking)}
        calls = [_call(call) for call in reply.calls]
        return _done({**message, "tool_calls": calls} if calls else message)

    def failure(self, failure: Failure) -> tuple[int, dict[str, str], Any]:
        status, message = ERRORS[failure.why]
        return status, retry_after_header(failure), {"error": message}

    def failure_event(self, failure: Failure) -> bytes:
        return json.dumps(self.failure(failure)[2]).encode() + b"\n"


def _line(*, message: dict[str, Any], done: bool = False, **more: Any) -> bytes:
    envelope = {"model": "qwen3", "created_at": "2026-11-30T12:00:00.000000Z"}
    return json.dumps({**envelope, "message": message, "done": done, **more}).encode() + b"\n"


def _done(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "message": message,
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_000_000,
        "prompt_eval_count": INPUT_TOKENS,
        "eval_count": OUTPUT_TOKENS,
    }


def _messages(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Thinking():
            for piece in cut(part.text):
                yield {"role": "assistant", "content": "", "thinking": piece}
        case Call():  # in one piece
            yield {"role": "assistant", "content": "", "tool_calls": [_call(part)]}
        case Text() | Refusal():
            yield from ({"role": "assistant", "content": piece} for piece in cut(part.text))
        case Search() | Image():  # its servers do not search, nor draw
            return


def _call(call: Call) -> dict[str, Any]:
    return {"function": {"name": call.name, "arguments": call.args}}
