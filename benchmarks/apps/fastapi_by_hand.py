"""FastAPI with sse-starlette."""

import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from benchmarks.apps.model import PacedModel

app = FastAPI()
chain = ChatPromptTemplate.from_template("{question}") | PacedModel()


class Question(BaseModel):
    """What is asked."""

    question: str


@app.post("/answer")
async def answer(question: Question) -> EventSourceResponse:
    """Stream the tokens as server-sent events."""

    async def events() -> AsyncIterator[dict[str, str]]:
        async for chunk in chain.astream(question.model_dump()):
            yield {"event": "token", "data": json.dumps({"token": chunk.content})}
        yield {"event": "end", "data": "{}"}

    return EventSourceResponse(events())
