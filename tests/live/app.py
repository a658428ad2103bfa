"""The app behind the live tests: one route for each way in which a stream can go wrong."""

import asyncio
from datetime import timedelta
from enum import Enum
from functools import wraps
from typing import Any

from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_classic.chains import RetrievalQA
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from quart import Blueprint, Quart, abort, g, has_websocket_context, jsonify, request, websocket
from quart.typing import ResponseReturnValue
from quart_rate_limiter import RateLimiter, rate_limit

from quart_lanarky import EventStream, EventStreamResponse, LanarkyExtension, Run, stream_chain
from quart_lanarky.adapters.langchain.callbacks import (
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.transports.websocket_session import answer
from tests.live import models, options

app = Quart(__name__)
app.config["RESPONSE_TIMEOUT"] = 1  # Quart would cut streams after it
app.config["QUART_LANARKY_BUFFER_EVENTS"] = 64
app.config["QUART_LANARKY_MAX_QUEUED_TURNS"] = 3
lanarky = LanarkyExtension(app)
options.add_routes(app, lanarky)

PROMPT = ChatPromptTemplate.from_template("{question}")

lanarky.add_chain("/echo", lambda: PROMPT | models.EchoModel())
lanarky.add_chain("/recite/json", lambda: PROMPT | models.ReciteModel())
lanarky.add_chain("/recite/text", lambda: PROMPT | models.ReciteModel(), mode="text")
lanarky.add_chain("/silent", lambda: PROMPT | models.SilentModel())
lanarky.add_chain("/gated", lambda: PROMPT | models.GatedModel())
lanarky.add_chain("/eager", PROMPT | models.EagerModel())
lanarky.add_chain("/sync-model", lambda: PROMPT | models.SyncModel())
lanarky.add_chain(
    "/sync-llm", lambda: PromptTemplate.from_template("{question}") | models.SyncLLM()
)
lanarky.add_chain(
    "/sync-chain",
    lambda: models.SyncChain(model=models.SyncModel(tags=["answer"])),
    final_tag="answer",
)
lanarky.add_chain("/function", RunnableLambda(lambda text: f"you said {text}"))


def failing(after: int = 0) -> Runnable[Any, Any]:
    return PROMPT | models.FailingModel(after=after)


def paced(delay: float = 0.02, count: int = 100_000) -> Runnable[Any, Any]:
    return PROMPT | models.PacedModel(delay=delay, count=count)


lanarky.add_chain("/failing", failing)
lanarky.add_chain("/paced", paced)


async def call_model_synchronously(question: str) -> str:
    """Block the loop, as code does that calls `invoke` in a coroutine."""
    return models.SyncModel().invoke(question).text


lanarky.add_chain("/blocked-loop", PROMPT | (lambda p: p.to_string()) | call_model_synchronously)


# -- retrieval and agents ------------------------------------------------------------------


def retrieval() -> Runnable[Any, Any]:
    return RetrievalQA.from_chain_type(
        models.EchoModel(), retriever=models.ListRetriever(), return_source_documents=True
    )


@tool
def shout(text: str) -> str:
    """Say it louder."""
    return text.strip().upper()


def react() -> Runnable[Any, Any]:
    """Recite the tokens of each step from the input, a JSON list of lists of tokens."""
    prompt = PromptTemplate.from_template("{tools}{tool_names}{agent_scratchpad}\x1f{input}")
    agent = create_react_agent(models.StepModel(), [shout], prompt)
    return AgentExecutor(agent=agent, tools=[shout], max_iterations=3)


lanarky.add_chain("/retrieval", retrieval)
lanarky.add_chain("/react", react)


# -- factories, parameters, decorators, blueprints -----------------------------------------


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def describe(**parameters: object) -> Runnable[Any, Any]:
    return PROMPT | RunnableLambda(lambda _: repr(parameters))


@app.post("/parameters/<int:number>")
@app.websocket("/parameters/<int:number>/ws")
@stream_chain(mode="text")
async def parameters(
    number: int,
    temperature: float,
    colour: Colour = Colour.RED,
    names: list[str] | None = None,
    flag: bool = False,
) -> Runnable[Any, Any]:
    await asyncio.sleep(0)
    return describe(
        number=number, temperature=temperature, colour=colour.value, names=names, flag=flag
    )


def login_required(view: Any) -> Any:
    @wraps(view)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        asking = websocket if has_websocket_context() else request
        if asking.headers.get("Authorization") != "Bearer ada":
            abort(401)
        g.user = "ada"
        return await view(*args, **kwargs)

    return guarded


members = Blueprint("members", __name__, url_prefix="/members")


@members.get("/chat")
@members.websocket("/chat/ws")
@login_required
@stream_chain
def members_only() -> Runnable[Any, Any]:
    async def greet(_: object) -> str:
        return f"{g.user} from {'a socket' if has_websocket_context() else request.path}"

    return PROMPT | RunnableLambda(greet)


app.register_blueprint(members)


RateLimiter(app)


@app.get("/limited")
@rate_limit(1, timedelta(hours=1))
@stream_chain
def limited() -> Runnable[Any, Any]:
    return PROMPT | models.SilentModel()


@app.post("/broken/<kind>")
@stream_chain
def broken(kind: str) -> object:
    if kind == "raises":
        raise RuntimeError(models.SECRET)
    return {"none": None, "text": "not a chain"}[kind]


# -- handlers by hand, and handlers of one's own -------------------------------------------


@app.post("/by-hand")
async def by_hand() -> ResponseReturnValue:
    inputs = await request.get_json()
    handler = TokenStreamingCallbackHandler()
    chain = PROMPT | models.EchoModel()
    run = Run(handler.stream, lambda: chain.ainvoke(inputs, {"callbacks": [handler]}))
    return EventStreamResponse(run)


@app.websocket("/by-hand/direct")
async def by_hand_direct() -> None:
    chain = PROMPT | models.EchoModel()
    inputs = await websocket.receive_json()
    handler = TokenWebSocketCallbackHandler(mode="text")
    await chain.ainvoke(inputs, {"callbacks": [handler]})
    await handler.send("end", "")
    await websocket.receive()


@app.websocket("/by-hand/run")
async def by_hand_run() -> None:
    chain = PROMPT | models.SyncModel()
    inputs = await websocket.receive_json()
    stream = EventStream()
    handler = TokenWebSocketCallbackHandler(stream)
    await answer(Run(stream, lambda: chain.ainvoke(inputs, {"callbacks": [handler]})))
    await websocket.receive()


@app.websocket("/by-hand/thread")
async def by_hand_thread() -> None:
    chain = models.SyncChain(model=models.SyncModel())
    inputs = await websocket.receive_json()
    handler = TokenWebSocketCallbackHandler()
    await chain.ainvoke(inputs, {"callbacks": [handler]})
    await handler.send("end", "")
    await websocket.receive()


class ToolNotice:
    """Says which tool an agent uses, on either transport."""

    async def on_tool_start(self: Any, serialized: Any, input_str: str, **kwargs: Any) -> None:
        await self.send("tool", {"name": serialized["name"], "input": input_str})


class ToolStreaming(ToolNotice, StreamingCallbackHandler):
    pass


class ToolWebSocket(ToolNotice, WebSocketCallbackHandler):
    pass


lanarky.add_chain("/tools", react, handlers=(ToolStreaming, ToolWebSocket))


# -- what the tests ask about --------------------------------------------------------------


@app.post("/gate/<key>")
async def open_gate(key: str) -> ResponseReturnValue:
    models.gates[key].set()
    return ""


@app.get("/seen/<key>")
async def seen(key: str) -> ResponseReturnValue:
    return jsonify(asked=models.asked[key], stopped_at=models.stopped_at.get(key))
