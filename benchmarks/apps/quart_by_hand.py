"""Quart without an extension, as its documentation streams."""

import json
from collections.abc import AsyncIterator

from quart import Quart, request

from benchmarks.apps.model import CHAIN, CHAIN_OF_MESSAGES

app = Quart(__name__)
app.config["RESPONSE_TIMEOUT"] = None


HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


def event(token: str) -> bytes:
    """Return the token as a server-sent event."""
    return f"event: token\ndata: {json.dumps({'token': token})}\n\n".encode()


@app.post("/answer")
async def answer() -> tuple[AsyncIterator[bytes], dict[str, str]]:
    """Stream the tokens."""
    inputs = await request.get_json()

    async def events() -> AsyncIterator[bytes]:
        async for token in CHAIN.astream(inputs):
            yield event(token)
        yield b"event: end\ndata: {}\n\n"

    return events(), HEADERS


@app.post("/messages")
async def messages() -> tuple[AsyncIterator[bytes], dict[str, str]]:
    """Stream the tokens of the chain without a parser."""
    inputs = await request.get_json()

    async def events() -> AsyncIterator[bytes]:
        async for chunk in CHAIN_OF_MESSAGES.astream(inputs):
            yield event(chunk.text)
        yield b"event: end\ndata: {}\n\n"

    return events(), HEADERS
