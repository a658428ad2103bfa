"""OpenAI's Responses, as they come over the wire."""

import json
from collections.abc import Iterator
from typing import Any

from tests.providers.script import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
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
from tests.providers.wires.base import Wire, named_event
from tests.providers.wires.openai_chat import OpenAIChat

Event = dict[str, Any]


class OpenAIResponses(Wire):
    """`POST /responses`; events that add items to the output, and fill them."""

    def turn(self, body: dict[str, Any]) -> int:
        """Count what begins a reply: an item of the model after one that is not its own."""
        own = [_is_own(item) for item in body["input"]]
        return sum(now and not before for before, now in zip([False, *own], own, strict=False))

    def pieces(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        start = {**_response(reply, "in_progress", body), "output": []}
        yield named_event({"type": "response.created", "response": start})
        yield named_event({"type": "response.in_progress", "response": start})
        for index, part in enumerate(reply.parts):
            item = _item(part, f"{reply.number}_{index}")
            yield _added(item, index)
            for event in _filling(part):
                yield named_event({"item_id": item["id"], "output_index": index, **event})
            done = {"type": "response.output_item.done", "output_index": index, "item": item}
            yield named_event(done)

    def ending(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        if reply.ending == "no finish reason":
            return
        kind = _status(reply)
        yield named_event({"type": f"response.{kind}", "response": _response(reply, kind, body)})

    def whole(self, reply: Reply, body: dict[str, Any]) -> Any:
        return _response(reply, _status(reply), body)

    def failure(self, failure: Failure) -> tuple[int, dict[str, str], Any]:
        return OpenAIChat().failure(failure)

    def failure_event(self, failure: Failure) -> bytes:
        error = self.failure(failure)[2]["error"]
        event = {"type": "error", "code": error["code"], "message": error["message"]}
        return named_event({**event, "param": None, "sequence_number": 9})


def _is_own(item: dict[str, Any]) -> bool:
    return item.get("role") == "assistant" or item.get("type") in {"function_call", "reasoning"}


def _status(reply: Reply) -> str:
    return "incomplete" if reply.ending == "blocked" else "completed"


def _response(reply: Reply, status: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"resp_{reply.number}",
        "object": "response",
        "created_at": 1764000000,
        "status": status,
        "model": "gpt-4o-mini",
        "output": [
            _item(part, f"{reply.number}_{index}") for index, part in enumerate(reply.parts)
        ],
        "error": None,
        "incomplete_details": {"reason": "content_filter"} if reply.ending == "blocked" else None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "text": body.get("text", {"format": {"type": "text"}}),
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS * reply.thinks},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }


def _item(part: Part, number: str) -> dict[str, Any]:
    """Return the finished item of the output that a part is."""
    match part:
        case Thinking():
            summary = [{"type": "summary_text", "text": part.text}]
            item = {"type": "reasoning", "summary": summary, "encrypted_content": part.signature}
        case Search():
            action = {"type": "search", "query": part.query}
            item = {"type": "web_search_call", "status": "completed", "action": action}
        case Call():
            item = {"type": "function_call", "name": part.name, "status": "completed"}
            item |= {"arguments": json.dumps(part.args), "call_id": f"call_{number}"}
        case Image():
            item = {"type": "image_generation_call", "status": "completed", "result": part.data}
            item |= {"output_format": "png"}
        case Text() | Refusal():
            item = {"type": "message", "role": "assistant", "status": "completed"}
            item |= {"content": [_content(part)]}
    return {"id": f"item_{number}", **item}


def _content(part: Text | Refusal) -> dict[str, Any]:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    annotations = [_annotation(part)] if isinstance(part, Cited) else []
    return {"type": "output_text", "text": part.text, "annotations": annotations, "logprobs": []}


def _annotation(cited: Cited) -> dict[str, Any]:
    place = {"start_index": 0, "end_index": len(cited.text)}
    return {"type": "url_citation", "url": cited.url, "title": cited.title, **place}


def _added(item: dict[str, Any], index: int) -> bytes:
    """Return the event that begins an item: nothing is in it yet."""
    empty = {"content": [], "summary": [], "arguments": "", "result": None, "status": "in_progress"}
    begun = {key: empty.get(key, value) for key, value in item.items()}
    begun.pop("encrypted_content", None)
    return named_event({"type": "response.output_item.added", "output_index": index, "item": begun})


def _filling(part: Part) -> Iterator[Event]:
    """Yield the events that fill an item, piece by piece."""
    match part:
        case Thinking():
            yield from _thinking(part)
        case Search():
            for step in ("in_progress", "searching", "completed"):
                yield {"type": f"response.web_search_call.{step}"}
        case Image():
            kind = "response.image_generation_call"
            yield from ({"type": f"{kind}.{step}"} for step in ("in_progress", "generating"))
            piece = {"partial_image_index": 0, "partial_image_b64": part.data}
            yield {"type": f"{kind}.partial_image", **piece}
            yield {"type": f"{kind}.completed"}
        case Call():
            arguments = json.dumps(part.args)
            kind = "response.function_call_arguments"
            yield from ({"type": f"{kind}.delta", "delta": piece} for piece in cut(arguments))
            yield {"type": f"{kind}.done", "arguments": arguments}
        case Text():
            yield from _content_events(part, "response.output_text", {"text": part.text})
        case Refusal():
            yield from _content_events(part, "response.refusal", {"refusal": part.text})


def _thinking(part: Thinking) -> Iterator[Event]:
    kind, place = "response.reasoning_summary", {"summary_index": 0}
    empty = {"type": "summary_text", "text": ""}
    yield {"type": f"{kind}_part.added", "part": empty, **place}
    for piece in cut(part.text):
        yield {"type": f"{kind}_text.delta", "delta": piece, **place}
    yield {"type": f"{kind}_text.done", "text": part.text, **place}
    yield {"type": f"{kind}_part.done", "part": {**empty, "text": part.text}, **place}


def _content_events(part: Text | Refusal, kind: str, done: dict[str, str]) -> Iterator[Event]:
    content, place = _content(part), {"content_index": 0}
    empty = {**content, **dict.fromkeys(done, ""), "annotations": []}
    yield {"type": "response.content_part.added", "part": empty, **place}
    for piece in cut(part.text):
        yield {"type": f"{kind}.delta", "delta": piece, "logprobs": [], **place}
    for number, annotation in enumerate(content.get("annotations", ())):
        told = {"annotation": annotation, "annotation_index": number, **place}
        yield {"type": f"{kind}.annotation.added", **told}
    yield {"type": f"{kind}.done", **done, "logprobs": [], **place}
    yield {"type": "response.content_part.done", "part": content, **place}
