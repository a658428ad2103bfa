"""Routes with options, with factories that clean up, and with faults of all kinds."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from langchain.agents import create_agent
from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_classic.base_memory import BaseMemory
from langchain_classic.chains import LLMChain
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from quart import Quart, abort, jsonify
from quart.typing import ResponseReturnValue

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.callbacks import (
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
)
from tests.live import models

PROMPT = ChatPromptTemplate.from_template("{question}")

opened: Counter[str] = Counter()
closed: Counter[str] = Counter()


@asynccontextmanager
async def resource(key: str) -> AsyncIterator[None]:
    opened[key] += 1
    try:
        yield
    finally:
        await asyncio.sleep(0)  # a cancelled request can still wait
        closed[key] += 1


async def yielding(key: str, delay: float = 0.0) -> AsyncIterator[Runnable[Any, Any]]:
    async with resource(key):
        yield PROMPT | models.PacedModel(delay=delay, count=5 if not delay else 100_000)


def yielding_in_a_thread(key: str) -> Iterator[Runnable[Any, Any]]:
    opened[key] += 1
    yield PROMPT | models.SilentModel()
    closed[key] += 1


def yielding_nothing() -> Iterator[Runnable[Any, Any]]:
    yield from ()


async def yielding_twice() -> AsyncIterator[Runnable[Any, Any]]:
    yield PROMPT | models.SilentModel()
    yield PROMPT | models.SilentModel()


async def failing_to_clean_up() -> AsyncIterator[Runnable[Any, Any]]:
    yield PROMPT | models.SilentModel()
    raise RuntimeError(models.SECRET)


async def awaited() -> Runnable[Any, Any]:
    return PROMPT | models.SilentModel()


# -- configuration -------------------------------------------------------------------------


class Heard(AsyncCallbackHandler):
    """A tracer: it writes into the list that it was given."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append(f"start {kwargs['tags']}")

    async def on_chain_end(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("end")


heard: dict[str, list[str]] = {}


def who(_: object, config: RunnableConfig) -> str:
    return f"{config['configurable']['user']} {config['tags']}"


async def by_user(asking: Any) -> RunnableConfig:
    user = asking.headers.get("X-User") or abort(401)
    await asyncio.sleep(0)
    return {
        "configurable": {"user": user},
        "tags": ["mine"],
        "callbacks": [Heard(heard.setdefault(user, []))],
    }


def failing_config(_: object) -> RunnableConfig:
    raise RuntimeError(models.SECRET)


class Question(BaseModel):
    """The inputs of a route, as its developer wants them."""

    question: str = Field(alias="q", min_length=2)
    times: int = Field(default=1, le=3)


# -- faults --------------------------------------------------------------------------------


@tool
def break_down(text: str) -> str:
    """Do not call this."""
    raise RuntimeError(models.SECRET)


class ToolModel(models.SilentModel):
    """Calls the tool that breaks."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=[{"name": "break_down"}])

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        result = models.whole("")
        call = {"name": "break_down", "args": {"text": "now"}, "id": "1"}
        result.generations[0].message = AIMessage("", tool_calls=[call])
        return result


class ForgetfulMemory(BaseMemory):
    """Fails when it is to remember."""

    @property
    def memory_variables(self) -> list[str]:
        return []

    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {}

    def save_context(self, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        raise RuntimeError(models.SECRET)

    def clear(self) -> None:
        raise NotImplementedError


class Breaking:
    """A handler's fault of its own, on either transport."""

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        await super().on_chat_model_start(*args, **kwargs)  # type: ignore[misc]
        raise RuntimeError(models.SECRET)


class BreakingStreaming(Breaking, TokenStreamingCallbackHandler):
    pass


class BreakingWebSocket(Breaking, TokenWebSocketCallbackHandler):
    pass


def react_with_a_broken_tool() -> Runnable[Any, Any]:
    prompt = PromptTemplate.from_template("{tools}{tool_names}{agent_scratchpad}\x1f{input}")
    agent = create_react_agent(models.StepModel(), [break_down], prompt)
    return AgentExecutor(agent=agent, tools=[break_down])


def add_routes(app: Quart, lanarky: LanarkyExtension) -> None:
    """Put all of them under `/options`."""
    for name, chain, options in [
        ("yielding", yielding, {}),
        ("yielding-in-a-thread", yielding_in_a_thread, {}),
        ("awaited", lambda: awaited(), {}),  # noqa: PLW0108  # a plain function around a coroutine
        ("yielding-nothing", yielding_nothing, {}),
        ("yielding-twice", yielding_twice, {}),
        ("failing-to-clean-up", failing_to_clean_up, {}),
        ("configured", PROMPT | RunnableLambda(who), {"config": by_user}),
        (
            "configured-once",
            PROMPT | RunnableLambda(who),
            {"config": {"configurable": {"user": "all"}, "tags": ["fixed"]}},
        ),
        ("failing-config", PROMPT | models.SilentModel(), {"config": failing_config}),
        (
            "input-model",
            RunnableLambda(lambda inputs: inputs["question"] * inputs["times"]),
            {"input_model": Question},
        ),
        ("broken-tool/react", react_with_a_broken_tool, {}),
        ("broken-tool/agent", lambda: create_agent(ToolModel(), [break_down]), {}),
        (
            "fails-after-its-tokens",
            lambda: LLMChain(
                llm=models.PacedModel(delay=0, count=5), prompt=PROMPT, memory=ForgetfulMemory()
            ),
            {},
        ),
        ("nothing", PROMPT | models.PacedModel(count=0), {}),
        (
            "broken-handler",
            lambda: PROMPT | models.PacedModel(delay=0, count=5),
            {"handlers": (BreakingStreaming, BreakingWebSocket)},
        ),
    ]:
        lanarky.add_chain(f"/options/{name}", chain, **options)

    @app.get("/options/log/<key>")
    async def log(key: str) -> ResponseReturnValue:
        return jsonify(opened=opened[key], closed=closed[key], heard=heard.get(key))

    @app.post("/options/under-a-decorator")
    @stream_chain(input_model=Question, mode="text")
    def decorated() -> Runnable[Any, Any]:
        return RunnableLambda(lambda inputs: str(sorted(inputs)))
