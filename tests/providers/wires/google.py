"""Gemini's generated content, as it comes over the wire."""

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
    Refusal,
    Reply,
    Search,
    Text,
    Thinking,
    cut,
    of_type,
)
from tests.providers.wires.base import Wire

ERRORS = {
    "rate limit": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
    "overload": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "too long": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
    ),
    "our key": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "broken": (500, "INTERNAL", "An internal error has occurred."),
}
TYPES = "type.googleapis.com/google.rpc."


class Google(Wire):
    """`POST …:streamGenerateContent?alt=sse`; each event is a response with a part of the whole."""

    def turn(self, body: dict[str, Any]) -> int:
        return sum(content.get("role") == "model" for content in body["contents"])

    def streams(self, path: str, body: dict[str, Any]) -> bool:
        return ":streamGenerateContent" in path

    def pieces(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        for part in _parts(reply):
            yield from (_event(_response([piece])) for piece in _pieces(part))

    def ending(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        if reply.ending == "blocked" and not reply.parts:
            yield _event(_prompt_blocked())
        elif reply.ending != "no finish reason":
            yield _event({**_response([{"text": ""}], reply), "usageMetadata": _usage(reply)})

    def whole(self, reply: Reply, body: dict[str, Any]) -> Any:
        if reply.ending == "blocked" and not reply.parts:
            return _prompt_blocked()
        return {**_response(list(_parts(reply)), reply), "usageMetadata": _usage(reply)}

    def failure(self, failure: Failure) -> tuple[int, dict[str, str], Any]:
        status, name, message = ERRORS[failure.why]
        details = list(_details(failure))
        error = {"code": status, "message": message, "status": name, "details": details}
        return status, {}, {"error": error}

    def failure_event(self, failure: Failure) -> bytes:
        return _event(self.failure(failure)[2])


def _event(data: Any) -> bytes:
    return f"data: {json.dumps(data)}\r\n\r\n".encode()


def _response(parts: list[dict[str, Any]], finished: Reply | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finished is not None:
        candidate["finishReason"] = "SAFETY" if finished.ending == "blocked" else "STOP"
        for search in of_type(Search, finished.parts):
            candidate["groundingMetadata"] = _grounding(search)
        if cited := list(_supports(finished)):
            candidate["groundingMetadata"] = _cited_grounding(cited)
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "r1"}


def _prompt_blocked() -> dict[str, Any]:
    feedback = {"blockReason": "PROHIBITED_CONTENT"}
    return {"promptFeedback": feedback, "modelVersion": "gemini-2.5-flash"}


def _parts(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the parts of the content. The signature of thinking is with what comes after it."""
    signature: dict[str, Any] = {}
    for part in reply.parts:
        match part:
            case Thinking():
                yield {"text": part.text, "thought": True}
                signature = {"thoughtSignature": part.signature}
            case Call():
                yield {"functionCall": {"name": part.name, "args": part.args}, **signature}
                signature = {}
            case Image():
                yield {"inlineData": {"mimeType": "image/png", "data": part.data}}
            case Text() | Refusal():  # it declines in its own words, if at all
                yield {"text": part.text}
            case Search():  # told with the finish reason
                pass


def _pieces(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a part as a stream has it: a text in pieces, a call in one."""
    if "text" not in part:
        yield part
    for piece in cut(part.get("text", "")):
        yield {**part, "text": piece}


def _grounding(search: Search) -> dict[str, Any]:
    return {
        "webSearchQueries": [search.query],
        "searchEntryPoint": {"renderedContent": f"<div>{search.result}</div>"},
        "groundingChunks": [{"web": {"uri": "https://example.org", "title": search.result}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 0, "endIndex": 3, "text": "Two"},
                "groundingChunkIndices": [0],
            }
        ],
    }


def _supports(reply: Reply) -> Iterator[tuple[Cited, int]]:
    """Yield what cites a source, and where it begins, in bytes."""
    before = 0
    for part in of_type(Text, reply.parts):
        if isinstance(part, Cited):
            yield part, before
        before += len(part.text.encode())


def _cited_grounding(cited: list[tuple[Cited, int]]) -> dict[str, Any]:
    return {
        "webSearchQueries": ["a query"],
        "groundingChunks": [{"web": {"uri": each.url, "title": each.title}} for each, _ in cited],
        "groundingSupports": [
            {
                "segment": {
                    "startIndex": begin,
                    "endIndex": begin + len(each.text.encode()),
                    "text": each.text,
                },
                "groundingChunkIndices": [index],
            }
            for index, (each, begin) in enumerate(cited)
        ],
    }


def _details(failure: Failure) -> Iterator[dict[str, Any]]:
    """Yield what Google says beside the message: how long to wait is in the body alone."""
    if failure.retry_after is not None:
        yield {"@type": f"{TYPES}RetryInfo", "retryDelay": f"{failure.retry_after}s"}
    if failure.why == "our key":
        yield {
            "@type": f"{TYPES}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }


def _usage(reply: Reply) -> dict[str, Any]:
    thoughts = REASONING_TOKENS * reply.thinks
    return {
        "promptTokenCount": INPUT_TOKENS,
        "candidatesTokenCount": OUTPUT_TOKENS - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
    }
