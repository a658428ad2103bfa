"""FastAPI with sse-starlette."""

import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from benchmarks.apps.model import CHAIN

app = FastAPI()


class Question(BaseModel):
    """What is asked."""

    question: str


@app.post("/answer")
async def answer(question: Question) -> EventSourceResponse:
    """Stream the tokens as server-sent events."""

    async def events() -> AsyncIterator[dict[str, str]]:
        async for token in CHAIN.astream(question.model_dump()):
            yield {"event": "token", "data": json.dumps({"token": token})}
        yield {"event": "end", "data": "{}"}

    return EventSourceResponse(events())
