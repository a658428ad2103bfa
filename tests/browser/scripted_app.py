"""An app whose answers are scripts: a question is the list of the events that answer it."""

import asyncio
import json
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, ConfigDict, model_validator
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.callbacks import (
    StreamingCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.adapters.langchain.testing import FunctionChatModel

app = Quart("scripts")
lanarky = LanarkyExtension(app, playground="/playground")


class Script(BaseModel):
    """A list of events as JSON, or the answer to an interrupt."""

    model_config = ConfigDict(extra="allow")
    question: str = "[]"

    @model_validator(mode="after")
    def check(self) -> "Script":
        """Refuse an answer as a server does that finds it wrong."""
        if "refuse" in json.dumps(getattr(self, "resume", None)):
            raise ValueError("that is no answer")
        return self


class Plays:
    """Sends the events of the script; `["sleep", seconds]` waits."""

    async def on_chain_start(
        self, serialized: Any, inputs: Any, *, parent_run_id: Any = None, **kwargs: Any
    ) -> None:
        if parent_run_id is not None:
            return
        if "resume" in inputs:
            script = [["completion", {"token": json.dumps(inputs["resume"])}]]
        else:
            script = json.loads(inputs["question"])
        for name, data in script:
            if name == "sleep":
                await asyncio.sleep(data)
            else:
                await self.send(name, data)  # type: ignore[attr-defined]


class StreamingPlay(Plays, StreamingCallbackHandler): ...


class WebSocketPlay(Plays, WebSocketCallbackHandler): ...


for mode in ("json", "text"):
    lanarky.add_chain(
        f"/script/{mode}",
        RunnableLambda(lambda _: ""),
        input_model=Script,
        handlers=(StreamingPlay, WebSocketPlay),
        mode=mode,
    )


def count_questions(messages: list[Any]) -> str:
    return f"question {sum(isinstance(each, HumanMessage) for each in messages)}"


lanarky.add_chain(
    "/remembering",
    create_agent(FunctionChatModel(function=count_questions), checkpointer=InMemorySaver()),
    show=("tools", "reasoning"),
)


async def send_email(to: str) -> str:
    """Send an email."""
    return f"sent to {to}"


def write_to_anna(messages: list[Any]) -> AIMessage:
    last = messages[-1]
    if isinstance(last, ToolMessage):
        return AIMessage(f"Done: {last.content}")
    call = {"name": "send_email", "args": {"to": "anna"}, "id": f"call{len(messages)}"}
    return AIMessage("", tool_calls=[call])


def asking_agent(interrupt_mode: str) -> Any:
    asking = HumanInTheLoopMiddleware({"send_email": True}, interrupt_mode=interrupt_mode)  # type: ignore[arg-type]
    model = FunctionChatModel(function=write_to_anna)
    return create_agent(model, [send_email], middleware=[asking], checkpointer=InMemorySaver())


for interrupt_mode in ("batched", "per_call"):
    lanarky.add_chain(f"/asking/{interrupt_mode}", asking_agent(interrupt_mode))
