"""An app with a route for each kind of parameter, input and event that documents describe."""

from enum import Enum, IntEnum
from typing import Annotated, Any, ClassVar, Literal

from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from quart import Quart, has_websocket_context, request, websocket

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.callbacks import (
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
)
from tests.live.models import FailingModel, SilentModel

app = Quart(__name__)
lanarky = LanarkyExtension(app)

PROMPT = ChatPromptTemplate.from_template("{question}")


class Question(BaseModel):
    """The inputs of the routes whose chain nobody sees before there are parameters."""

    question: str


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


def says(**parameters: object) -> Runnable[Any, Any]:
    return RunnableLambda(lambda _: repr(parameters))


def takes_anything(inputs: dict[str, Any]) -> str:
    return repr(sorted(inputs))


# -- parameters ------------------------------------------------------------------------------


@app.get("/numbers/<int:number>")
@app.post("/numbers/<int:number>")
@app.websocket("/numbers/<int:number>/ws")
@stream_chain
def numbers(
    number: int,
    k: Annotated[int, Field(ge=1, le=10)],
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    step: Annotated[int | None, Field(multiple_of=5)] = None,
) -> Runnable[Question, str]:
    """Take numbers with limits, and say with an annotation what the chain takes."""
    return says(number=number, k=k, ratio=ratio, step=step)


@app.get("/choices/<colour>")
@app.post("/choices/<colour>")
@app.websocket("/choices/<colour>/ws")
@stream_chain(input_model=Question)
def choices(
    colour: Colour,
    size: Size = Size.SMALL,
    kind: Literal["fast", "slow", 3] = "fast",
    flag: bool = False,
    name: Annotated[str | None, Field(min_length=2, max_length=5, pattern="^[a-z]*$")] = None,
) -> Runnable[Any, Any]:
    """Take one of several values."""
    return says(colour=colour, size=size, kind=kind, flag=flag, name=name)


@app.get("/lists")
@app.post("/lists")
@app.websocket("/lists/ws")
@stream_chain
def lists(
    names: list[str],
    counts: Annotated[list[int] | None, Field(max_length=3)] = None,
    colours: list[Colour] = [],  # noqa: B006  # nobody writes to it
    either: int | bool | None = None,
) -> Runnable[Question, str]:
    """Take several values."""
    return says(names=names, counts=counts, colours=colours, either=either)


# -- inputs ----------------------------------------------------------------------------------


def no_boolean(value: object) -> object:
    """Refuse what Pydantic would take for a number, and says nothing of in its schema."""
    if isinstance(value, bool):
        raise ValueError("this is no number")  # noqa: TRY004  # Pydantic's way
    return value


Number = Annotated[int, BeforeValidator(no_boolean)]


class Range(BaseModel):
    """A part of something."""

    model_config = ConfigDict(extra="forbid")

    first: Number = Field(ge=0)
    last: Number | None = None


class Filters(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(extra="forbid")

    colour: Colour
    within: Range | None = None


class Search(BaseModel):
    """The inputs of a route, with objects in them."""

    text: str = Field(min_length=1)
    filters: Filters
    ranges: list[Range] = Field(default=[], max_length=3)
    tags: list[str] = []
    limit: Number = Field(default=5, ge=1, alias="max")


lanarky.add_chain("/search", RunnableLambda(repr), input_model=Search)


class Name(BaseModel):
    """A text with limits, which a bare text on a WebSocket has, too."""

    name: str = Field(min_length=2, max_length=10)


lanarky.add_chain("/name", RunnableLambda(repr), input_model=Name)
lanarky.add_chain("/model", FakeListChatModel(responses=["Hi!"]))
lanarky.add_chain("/agent", lambda: create_agent(FakeListChatModel(responses=["Hi!"]), []))
lanarky.add_chain("/text", lambda: PROMPT | SilentModel(), mode="text")
lanarky.add_chain("/failing", lambda: PROMPT | FailingModel(after=2))


class Answer(BaseModel):
    """An answer that is no text."""

    words: list[str]
    number: int | None = None


def counts_words(inputs: Range) -> Answer:
    return Answer(words=["from", str(inputs.first)], number=inputs.last)


lanarky.add_chain("/structured", RunnableLambda(counts_words))


def takes_over() -> Runnable[Any, Any]:
    """Take tokens back: a fallback answers after the first tokens."""
    return (PROMPT | FailingModel(after=2)).with_fallbacks([PROMPT | SilentModel()])


lanarky.add_chain("/fallback", takes_over)
lanarky.add_chain("/fallback/text", takes_over, mode="text")


@app.get("/unknown")
@app.post("/unknown")
@app.websocket("/unknown/ws")
@stream_chain
def unknown() -> Runnable[Any, Any]:
    """Be no use without a request, so that nobody can look at the chain beforehand."""
    asking = websocket if has_websocket_context() else request
    asking.headers  # noqa: B018  # raises outside of a request
    return RunnableLambda(takes_anything)


# -- events of one's own ---------------------------------------------------------------------


class Asking(BaseModel):
    """Says what the model is asked."""

    messages: int
    colour: Colour = Colour.RED


class Notices:
    """Declares two events: an object and a bare text."""

    events: ClassVar = {"asking": Asking, "note": str}

    async def on_chat_model_start(self: Any, serialized: Any, messages: Any, **kwargs: Any) -> None:
        await super().on_chat_model_start(serialized, messages, **kwargs)  # type: ignore[misc]
        await self.send("asking", Asking(messages=sum(map(len, messages))))
        await self.send("note", "two\nlines")


class NoticesStreaming(Notices, TokenStreamingCallbackHandler):
    pass


class NoticesWebSocket(Notices, TokenWebSocketCallbackHandler):
    pass


HANDLERS = (NoticesStreaming, NoticesWebSocket)
lanarky.add_chain("/notices", lambda: PROMPT | SilentModel(), handlers=HANDLERS)
lanarky.add_chain("/notices/text", lambda: PROMPT | SilentModel(), handlers=HANDLERS, mode="text")
