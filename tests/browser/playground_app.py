"""An app with a route for each kind of input and answer that the playground has to deal with."""

import json
import re
from collections.abc import AsyncIterator
from enum import Enum
from functools import wraps
from typing import Annotated, Any

from langchain_classic.chains import RetrievalQA
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel, ConfigDict, Field, field_validator
from quart import Quart, Response, has_websocket_context, jsonify, redirect, request, websocket
from quart.typing import ResponseReturnValue

from quart_lanarky import LanarkyExtension, stream_chain
from tests.contract.many_kinds import HANDLERS
from tests.live import models

app = Quart("many shapes")
lanarky = LanarkyExtension(app, playground="/playground")

PROMPT = ChatPromptTemplate.from_template("{question}")


class LongModel(models.TestModel):
    """Says the words of a question as often as its first line says."""

    async def tokens(self, question: str) -> AsyncIterator[str]:
        count, _, text = question.partition("\n")
        words = re.findall(r"\S+\s*", text)
        for _ in range(int(count)):
            for word in words:
                yield word


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Question(BaseModel):
    """What is taken by a route whose chain nobody sees before there are parameters."""

    question: str


class Form(BaseModel):
    """Several inputs, each of another type."""

    text: str = Field(min_length=2, description="What it is about.")
    count: int = Field(default=3, ge=1, le=9)
    ratio: float | None = None
    flag: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = []
    extra: dict[str, Any] = {}

    @field_validator("text")
    @classmethod
    def check(cls, text: str) -> str:
        """Refuse what only the server knows to be wrong."""
        if text == "taken":
            raise ValueError("somebody has that already")
        return text


class Name(BaseModel):
    """One input, about which only the server knows everything."""

    name: str

    @field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        """Refuse one."""
        if name == "taken":
            raise ValueError("somebody has that already")
        return name


class Open(BaseModel):
    """One input that is known, and any others."""

    model_config = ConfigDict(extra="allow")
    question: str


class OpenForm(BaseModel):
    """Two inputs that are known, and any others."""

    model_config = ConfigDict(extra="allow")
    a: str
    b: int = 0


class Examples(BaseModel):
    """Examples of the field and of all inputs; some are no texts, and one comes twice."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": name} for name in ("one", "three", 3, "four", "five")]
        }
    )
    name: str = Field(examples=["one", "two <b>", "", 7])


class LimitedError(Exception):
    """What is raised where a provider would say that it is asked too often."""


def refuse_for_a_while(inputs: Any) -> str:
    raise LimitedError


def tell(inputs: Any) -> str:
    """Say what came, as JSON."""
    return json.dumps(inputs, default=lambda value: getattr(value, "value", value))


def tell_either(inputs: str | dict[str, Any]) -> str:
    return tell(inputs)


def transcript(prompt: Any) -> str:
    return " | ".join(f"{message.type}: {message.text}" for message in prompt.to_messages())


def conversation() -> Runnable[Any, Any]:
    return ChatPromptTemplate([MessagesPlaceholder("messages")]) | transcript


def remembering() -> Runnable[Any, Any]:
    """Make a graph that keeps the messages itself."""
    builder = StateGraph(MessagesState)
    builder.add_node("tell", lambda state: {"messages": [AIMessage(texts(state["messages"]))]})
    builder.add_edge(START, "tell")
    return builder.compile(InMemorySaver())


def texts(messages: list[Any]) -> str:
    return ", ".join(str(message.text) for message in messages)


lanarky.add_chain("/recite", lambda: PROMPT | models.ReciteModel())
lanarky.add_chain("/recite/text", lambda: PROMPT | models.ReciteModel(), mode="text")
lanarky.add_chain("/long", lambda: PROMPT | LongModel())
lanarky.add_chain("/form", RunnableLambda(tell), input_model=Form)
lanarky.add_chain("/open", RunnableLambda(tell), input_model=Open)
lanarky.add_chain("/open-form", RunnableLambda(tell), input_model=OpenForm)
lanarky.add_chain("/examples", RunnableLambda(tell), input_model=Examples)
lanarky.add_chain("/limited", PROMPT | RunnableLambda(refuse_for_a_while))
lanarky.error_for(LimitedError, status=429, detail="asked too often", retry_after=7)
lanarky.add_chain("/name", RunnableLambda(tell), input_model=Name)
lanarky.add_chain("/untyped", RunnableLambda(tell))
lanarky.add_chain("/text-or-object", RunnableLambda(tell_either))
lanarky.add_chain("/messages", conversation)
lanarky.add_chain(
    "/history",
    ChatPromptTemplate([MessagesPlaceholder("history"), ("human", "{question}")]) | transcript,
)
lanarky.add_chain(
    "/remembering",
    remembering(),
    config=lambda connection: {"configurable": {"thread_id": connection.path}},
)
lanarky.add_chain("/failing", lambda: PROMPT | models.FailingModel(after=2))
lanarky.add_chain("/notices", lambda: PROMPT | models.SilentModel(), handlers=HANDLERS)
lanarky.add_chain(
    "/fallback",
    lambda: (PROMPT | models.FailingModel(after=2)).with_fallbacks([PROMPT | models.SilentModel()]),
)


def anything() -> Runnable[Any, Any]:
    """Be no use without a request, so that nobody knows what the chain takes."""
    (websocket if has_websocket_context() else request).headers  # noqa: B018  # raises without one
    return RunnableLambda(tell_all)


def tell_all(inputs: dict[str, Any]) -> str:
    return tell(inputs)


lanarky.add_chain("/anything", anything)


def paced(delay: float = 0.02, count: int = 100_000) -> Runnable[Any, Any]:
    """Count, at a pace."""
    return PROMPT | models.PacedModel(delay=delay, count=count)


def thread(thread_id: str = "main") -> Runnable[Any, Any]:
    """Keep the conversation on the server, by its id."""
    return conversation()


def parameters(
    number: int,
    needed: Annotated[str, Field(description="It has to be given.")],
    k: Annotated[int, Field(ge=1, le=10)] = 4,
    colour: Colour = Colour.RED,
    names: list[str] | None = None,
    flag: bool = False,
) -> Runnable[Question, str]:
    """Say which parameters came."""
    given = {"number": number, "needed": needed, "k": k, "colour": colour.value}
    return PROMPT | RunnableLambda(lambda _: tell({**given, "names": names, "flag": flag}))


def documents() -> Runnable[Any, Any]:
    """Find what the query lists."""
    return RetrievalQA.from_chain_type(
        models.SilentModel(), retriever=models.ListRetriever(), return_source_documents=True
    )


lanarky.add_chain("/paced", paced)
lanarky.add_chain("/threads/<thread_id>", thread)
lanarky.add_chain("/parameters/<int:number>", parameters)
lanarky.add_chain("/documents", documents)


@app.get("/asking")
@stream_chain
def asking(k: int = 2) -> Runnable[Any, Any]:
    """Be asked by GET alone."""
    return PROMPT | RunnableLambda(lambda prompt: f"{k}: {prompt.to_string()}")


@app.websocket("/socket")
@stream_chain
def socket() -> Runnable[Any, Any]:
    """Be asked on a WebSocket alone."""
    return PROMPT | models.SilentModel()


def answered(response: Any) -> Any:
    """Put something before a chain that lets nobody in."""

    def decorate(view: Any) -> Any:
        @wraps(view)
        async def refuse(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            return response()  # type: ignore[no-any-return]

        return refuse

    return decorate


def turned_away(path: str, response: Any) -> None:
    def chain() -> Runnable[Any, Any]:
        return PROMPT | models.SilentModel()

    chain.__name__ = path.strip("/")
    app.post(path)(answered(response)(stream_chain(chain)))


turned_away("/busy", lambda: Response("", 503, {"Retry-After": "7"}))
turned_away("/members", lambda: Response("Unauthorized", 401))
turned_away("/forbidden", lambda: ({"status_code": 403, "detail": "not you"}, 403))
turned_away("/led-away", lambda: redirect("/login", 303))


@app.get("/login")
async def login() -> ResponseReturnValue:
    return "<p>Log in.</p>"


@app.get("/seen/<key>")
async def seen(key: str) -> ResponseReturnValue:
    return jsonify(asked=models.asked[key])
