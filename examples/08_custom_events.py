"""Events of one's own beside the answer: hypercorn examples.08_custom_events:app

A tool tells of its progress, and the client hears which tools are used. A pair of handlers sends
both; its `events` describe them in `/docs`. Open `/playground`, or paste:

    curl -N http://127.0.0.1:8000/agent -H 'Content-Type: application/json' \
        -d '{"messages": "What is back-pressure?"}'

Code in a chain sends with LangChain's `adispatch_custom_event`. LangGraph's `get_stream_writer`
writes to those who call a graph's `stream`, which no route does.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from langchain.agents import create_agent
from langchain_core.callbacks import adispatch_custom_event
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from pydantic import BaseModel
from quart import Quart

from examples.local_model import chat_model
from examples.retrieval import MarkdownRetriever
from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.callbacks import (
    EventCallbackHandler,
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
)

app = Quart(__name__)
lanarky = LanarkyExtension(app, playground="/playground")


class ToolUse(BaseModel):
    """A tool is called."""

    name: str
    input: str


class Progress(BaseModel):
    """A tool has come so far."""

    reading: str
    done: int
    total: int


class Notices(EventCallbackHandler):
    """What both transports share: LangChain's callbacks, each sending one event."""

    events: ClassVar[Mapping[str, Any]] = {"tool": ToolUse, "progress": Progress}

    async def on_tool_start(
        self, serialized: dict[str, Any], input_str: str, **kwargs: Any
    ) -> None:
        """Tell of a call, before it is made."""
        # The token handlers listen, too: what a tool has a model say is no answer.
        await super().on_tool_start(serialized, input_str, **kwargs)
        await self.send("tool", {"name": serialized["name"], "input": input_str})

    async def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
        """Pass on what code in the chain dispatches."""
        if name == "progress":
            await self.send("progress", data)


# The pair that fits the chain, and the notices. An agent's is the one of final tokens.
class NoticesStreaming(Notices, FinalTokenStreamingCallbackHandler):
    """Over HTTP."""


class NoticesWebSocket(Notices, FinalTokenWebSocketCallbackHandler):
    """Over a WebSocket."""


@cache
def library() -> MarkdownRetriever:
    """Return the search over `examples/library`."""
    return MarkdownRetriever.from_folder()


@tool
async def search_library(query: str) -> str:
    """Search the library for sections on a topic."""
    sections = await library().ainvoke(query)
    for done, section in enumerate(sections, 1):
        progress = {"reading": section.metadata["title"], "done": done, "total": len(sections)}
        await adispatch_custom_event("progress", progress)
        await asyncio.sleep(0.3)  # in place of work that takes a while
    return "\n\n".join(section.page_content for section in sections)


def agent() -> Runnable[Any, Any]:
    """Answer with what a search finds."""
    return create_agent(chat_model(), [search_library], system_prompt="Search, then answer.")


lanarky.add_chain("/agent", agent, handlers=(NoticesStreaming, NoticesWebSocket))
