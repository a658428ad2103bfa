"""Anthropic's messages, as they come over the wire."""

import json
from collections.abc import Iterator
from typing import Any

from tests.providers.script import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Call,
    Cited,
    Failure,
    Image,
    Part,
    Refusal,
    Reply,
    Search,
    Text,
    Thinking,
    cut,
)
from tests.providers.wires.base import Wire, named_event, retry_after_header

ERRORS = {
    "rate limit": (429, "rate_limit_error", "This request would exceed your rate limit"),
    "overload": (529, "overloaded_error", "Overloaded"),
    "too long": (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
    "our key": (401, "authentication_error", "invalid x-api-key: sk-secret"),
    "broken": (500, "api_error", "Internal server error"),
}


class Anthropic(Wire):
    """`POST /v1/messages`; blocks of content, each with its start, its deltas and its stop."""

    def turn(self, body: dict[str, Any]) -> int:
        return sum(message["role"] == "assistant" for message in body["messages"])

    def pieces(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        yield named_event({"type": "message_start", "message": {**_message(reply), "content": []}})
        yield named_event({"type": "ping"})
        for index, block in enumerate(_blocks(reply)):
            place = {"index": index}
            begun = {"type": "content_block_start", "content_block": _begun(block)}
            yield named_event({**begun, **place})
            for delta in _deltas(block):
                yield named_event({"type": "content_block_delta", "delta": delta, **place})
            yield named_event({"type": "content_block_stop", **place})

    def ending(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        if reply.ending != "no finish reason":
            delta = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
            usage = _message(reply)["usage"]
            yield named_event({"type": "message_delta", "delta": delta, "usage": usage})
        yield named_event({"type": "message_stop"})

    def whole(self, reply: Reply, body: dict[str, Any]) -> Any:
        blocks = list(_blocks(reply))
        return {**_message(reply), "content": blocks, "stop_reason": _stop_reason(reply)}

    def failure(self, failure: Failure) -> tuple[int, dict[str, str], Any]:
        status, kind, message = ERRORS[failure.why]
        return (
            status,
            retry_after_header(failure),
            {"type": "error", "error": {"type": kind, "message": message}},
        )

    def failure_event(self, failure: Failure) -> bytes:
        return named_event(self.failure(failure)[2])


def _message(reply: Reply) -> dict[str, Any]:
    return {
        "id": f"msg_{reply.number}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }


def _stop_reason(reply: Reply) -> str:
    if reply.ending == "blocked" or any(isinstance(part, Refusal) for part in reply.parts):
        return "refusal"
    return "tool_use" if reply.calls else "end_turn"


def _blocks(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the finished blocks of content."""
    for index, part in enumerate(reply.parts):
        yield from _blocks_of(part, f"{reply.number}_{index}")


def _blocks_of(part: Part, number: str) -> list[dict[str, Any]]:
    match part:
        case Thinking():
            return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]
        case Cited():
            cited = {"type": "web_search_result_location", "url": part.url, "title": part.title}
            cited |= {"cited_text": part.quote, "encrypted_index": "eA=="}
            return [{"type": "text", "text": part.text, "citations": [cited]}]
        case Image():  # it makes none
            return []
        case Text() | Refusal():  # a refusal is a text and a stop reason
            return [{"type": "text", "text": part.text}]
        case Call():
            call = {"type": "tool_use", "id": f"toolu_{number}", "name": part.name}
            return [{**call, "input": part.args}]
        case Search():
            return _search(part)


def _search(search: Search) -> list[dict[str, Any]]:
    """Return the search, its result, and the text that cites it, which has none of its own."""
    source = {"url": "https://example.org", "title": search.result}
    found = {"type": "web_search_result", **source, "encrypted_content": "eA==", "page_age": None}
    cited = {"type": "web_search_result_location", **source, "cited_text": search.result}
    asked = {"name": "web_search", "input": {"query": search.query}}
    return [
        {"type": "server_tool_use", "id": "srvtoolu_1", **asked},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]},
        {"type": "text", "text": "", "citations": [{**cited, "encrypted_index": "eA=="}]},
    ]


def _begun(block: dict[str, Any]) -> dict[str, Any]:
    """Return the block as it is before its deltas."""
    empty = {"thinking": "", "signature": "", "text": "", "input": {}, "citations": []}
    return {key: empty.get(key, value) for key, value in block.items()}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for piece in cut(block.get("thinking", "")):
        yield {"type": "thinking_delta", "thinking": piece}
    if "signature" in block:
        yield {"type": "signature_delta", "signature": block["signature"]}
    for citation in block.get("citations", ()):
        yield {"type": "citations_delta", "citation": citation}
    for piece in cut(block.get("text", "")):
        yield {"type": "text_delta", "text": piece}
    if "input" in block:
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in cut(json.dumps(block["input"])):
            yield {"type": "input_json_delta", "partial_json": piece}
