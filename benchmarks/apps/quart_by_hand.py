"""Quart without an extension, as its documentation streams."""

import json
from collections.abc import AsyncIterator

from langchain_core.prompts import ChatPromptTemplate
from quart import Quart, request

from benchmarks.apps.model import PacedModel

app = Quart(__name__)
app.config["RESPONSE_TIMEOUT"] = None
chain = ChatPromptTemplate.from_template("{question}") | PacedModel()


@app.post("/answer")
async def answer() -> tuple[AsyncIterator[bytes], dict[str, str]]:
    """Stream the tokens as server-sent events."""
    inputs = await request.get_json()

    async def events() -> AsyncIterator[bytes]:
        async for chunk in chain.astream(inputs):
            yield f"event: token\ndata: {json.dumps({'token': chunk.content})}\n\n".encode()
        yield b"event: end\ndata: {}\n\n"

    return events(), {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
