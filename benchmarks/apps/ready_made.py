"""The floor: what Quart and Hypercorn cost when there is nothing to do but to send bytes."""

from collections.abc import AsyncIterator

from quart import Quart, request

from benchmarks.apps.model import words

app = Quart(__name__)
app.config["RESPONSE_TIMEOUT"] = None


@app.post("/answer")
async def answer() -> tuple[AsyncIterator[bytes], dict[str, str]]:
    """Stream words that no model has said."""
    tokens, pace = (await request.get_json())["question"].split()

    async def events() -> AsyncIterator[bytes]:
        async for word in words(int(tokens), float(pace)):
            yield b'event: completion\ndata: {"token": "' + word.encode() + b'"}\n\n'
        yield b"event: end\ndata: {}\n\n"

    return events(), {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
