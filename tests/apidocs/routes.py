"""A chain route with everything that API docs can say, and its handlers."""

from enum import Enum
from typing import Annotated, Literal

from langchain_core.runnables import Runnable
from pydantic import BaseModel, Field

from quart_lanarky.adapters.langchain.callbacks import (
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
)
from tests.adapters.chains import LCEL


class Style(Enum):
    PLAIN = "plain"
    RICH = "rich"


class Place(BaseModel):
    latitude: float


class Step(BaseModel):
    """A step that was taken."""

    name: str


class Message(BaseModel):
    question: str
    context: list[str] = []
    place: Place | None = None
    attempts: Annotated[int, Field(ge=1, le=3)] = 1


class Thread(BaseModel):
    text: str
    replies: list["Thread"] = []


class Reply(BaseModel):
    """What an answer is."""

    text: str


class StepsStreaming(TokenStreamingCallbackHandler):
    events = {"step": Step, "note": str}  # noqa: RUF012  # as users write it


class StepsWebSocket(TokenWebSocketCallbackHandler):
    events = {"step": Step, "note": str}  # noqa: RUF012  # as users write it


class SilentStreaming(TokenStreamingCallbackHandler):
    """Declares no events, so it may send any."""


class SilentWebSocket(TokenWebSocketCallbackHandler):
    """Declares no events, so it may send any."""


def helper(
    lang: Annotated[str, Field(description="The language.", min_length=2)],
    k: Annotated[int, Field(ge=1, le=9, description="How many documents.")] = 4,
    style: Style = Style.RICH,
    size: Literal["s", "l"] = "s",
    labels: tuple[str, ...] = ("a", "b"),
    names: list[str] | None = None,
    near: Place | None = None,
    number: int | None = None,
) -> Runnable[Message, str]:
    return LCEL
