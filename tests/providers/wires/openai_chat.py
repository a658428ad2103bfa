"""OpenAI's chat completions, as they come over the wire."""

import json
from collections.abc import Iterator
from typing import Any

from tests.providers.script import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    Call,
    Failure,
    Image,
    Refusal,
    Reply,
    Search,
    Text,
    Thinking,
    cut,
    of_type,
    texts,
)
from tests.providers.wires.base import Wire, data_event, retry_after_header

ERRORS = {
    "rate limit": (429, "rate_limit_exceeded", "Rate limit reached for this model"),
    "overload": (503, "server_error", "The engine is currently overloaded"),
    "too long": (400, "context_length_exceeded", "This model's maximum context length is 8 tokens"),
    "our key": (401, "invalid_api_key", "Incorrect API key provided: sk-secret"),
    "broken": (500, "server_error", "The server had an error while processing your request"),
}


class OpenAIChat(Wire):
    """`POST /chat/completions`; a data line for each piece, and `[DONE]`."""

    def turn(self, body: dict[str, Any]) -> int:
        return sum(message["role"] == "assistant" for message in body["messages"])

    def pieces(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        yield _chunk({"role": "assistant", "content": ""})
        calls = 0
        for part in reply.parts:
            match part:
                case Thinking():  # OpenAI itself keeps it; the servers that speak its wire do not
                    yield from (_chunk({"reasoning_content": text}) for text in cut(part.text))
                case Text():
                    yield from _text(part.text, reply.other)
                case Refusal():
                    yield from (_chunk({"refusal": text}) for text in cut(part.text))
                case Image():  # this wire has none in its answers
                    pass
                case Search():
                    yield _chunk({"annotations": [_citation(part)]})
                case Call():
                    yield from _call(part, calls, f"{reply.number}_{calls}")
                    calls += 1

    def ending(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        reason = _finish_reason(reply)
        if reason:
            yield _chunk({}, finish_reason=reason)
        if body.get("stream_options", {}).get("include_usage"):
            yield data_event(
                {**_envelope("chat.completion.chunk"), "choices": [], "usage": _usage(reply)}
            )
        yield b"data: [DONE]\n\n"

    def whole(self, reply: Reply, body: dict[str, Any]) -> Any:
        message = {
            "role": "assistant",
            "content": texts(reply) or None,
            "refusal": texts(reply, Refusal) or None,
            "tool_calls": [
                _tool_call(call, f"{reply.number}_{i}") for i, call in enumerate(reply.calls)
            ]
            or None,
            "annotations": [_citation(search) for search in of_type(Search, reply.parts)],
        }
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
        return {**_envelope("chat.completion"), "choices": [choice], "usage": _usage(reply)}

    def failure(self, failure: Failure) -> tuple[int, dict[str, str], Any]:
        status, code, message = ERRORS[failure.why]
        error = {"message": message, "type": code, "param": None, "code": code}
        return status, retry_after_header(failure), {"error": error}

    def failure_event(self, failure: Failure) -> bytes:
        return data_event(self.failure(failure)[2])


def _envelope(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1764000000, "model": "gpt-4o-mini"}


def _chunk(delta: dict[str, Any], *, index: int = 0, finish_reason: str | None = None) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return data_event({**_envelope("chat.completion.chunk"), "choices": [choice]})


def _text(text: str, other: str) -> Iterator[bytes]:
    others = cut(other)
    for piece in cut(text):
        yield _chunk({"content": piece})
        if second := next(others, None):
            yield _chunk({"content": second}, index=1)
    yield from (_chunk({"content": second}, index=1) for second in others)


def _tool_call(call: Call, number: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.args)}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _call(call: Call, index: int, number: str) -> Iterator[bytes]:
    start = _tool_call(call, number)
    arguments = start["function"]["arguments"]
    start["function"]["arguments"] = ""
    yield _chunk({"tool_calls": [{"index": index, **start}]})
    for piece in cut(arguments):
        yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


def _citation(search: Search) -> dict[str, Any]:
    place = {"start_index": 0, "end_index": 3, "title": search.result, "url": "https://example.org"}
    return {"type": "url_citation", "url_citation": place}


def _finish_reason(reply: Reply) -> str | None:
    if reply.ending == "no finish reason":
        return None
    if reply.ending == "blocked":
        return "content_filter"
    return "tool_calls" if reply.calls else "stop"


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS * reply.thinks},
    }
