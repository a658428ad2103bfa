"""An app whose model sends one word, and the next on request: so no test needs a clock."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from hypercorn.middleware import ProxyFixMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from quart import Quart, request

from quart_lanarky import LanarkyExtension, run_cancelled, run_started

app = Quart(__name__)
app.config["QUART_LANARKY_HEARTBEAT"] = float(os.environ.get("HEARTBEAT", "600"))
app.config["QUART_LANARKY_DRAIN_TIMEOUT"] = 0.5
lanarky = LanarkyExtension(app)
proxied = ProxyFixMiddleware(app)  # type: ignore[arg-type]

counts: Counter[str] = Counter()
may_go_on = asyncio.Event()


class GatedModel(FakeListChatModel):
    """Sends `first`, waits, and sends `second`."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk("first "))
        await may_go_on.wait()
        yield ChatGenerationChunk(message=AIMessageChunk("second"))


lanarky.add_chain(
    "/chat", ChatPromptTemplate.from_template("{question}") | GatedModel(responses=["first second"])
)


@run_started.connect_via(app)
def note_start(sender: Quart, run: Any) -> None:
    counts["started"] += 1


@run_cancelled.connect_via(app)
def note_cancel(sender: Quart, run: Any) -> None:
    counts["cancelled"] += 1


@app.get("/counts")
async def show_counts() -> dict[str, int]:
    return {"started": counts["started"], "cancelled": counts["cancelled"]}


@app.post("/go-on")
async def go_on() -> str:
    may_go_on.set()
    return ""


@app.get("/client")
async def client() -> list[str | None]:
    return [request.scheme, request.remote_addr]


@app.get("/headers")
async def headers() -> dict[str, str]:
    return dict(request.headers)


@app.get("/")
async def page() -> str:
    return "<!doctype html><title>a page</title>"
