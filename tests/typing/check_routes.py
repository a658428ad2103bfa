"""What a type checker says of routes: mypy reads this file, and nobody runs it.

A call that must not pass carries a `type: ignore` with the code of its error; where mypy found no
error, it would complain of the comment.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, assert_type

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from pydantic import BaseModel
from quart import Blueprint, Quart, Request

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.callbacks import (
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
)

View = Callable[..., Awaitable[Any]]


class Question(BaseModel):
    question: str


def chain() -> Runnable[Any, Any]:
    return RunnableLambda(str)


async def yielded(user_id: int) -> AsyncIterator[Runnable[Question, str]]:
    yield RunnableLambda(lambda question: f"{user_id}: {question}")


async def config(request: Request) -> RunnableConfig:
    return {"configurable": {"thread_id": request.args["thread"]}}


assert_type(stream_chain(chain), View)
assert_type(stream_chain(yielded), View)
assert_type(stream_chain(), Callable[[Callable[..., Any]], View])
assert_type(stream_chain(mode="text")(chain), View)
stream_chain(
    mode="json",
    output_key="answer",
    final_tag="answer",
    hold_tokens=None,
    input_model=Question,
    config=config,
    handlers=(TokenStreamingCallbackHandler, TokenWebSocketCallbackHandler),
)
stream_chain(config={"tags": ["chat"]})

stream_chain(chain, mode="text")  # type: ignore[call-overload]  # options make a decorator
stream_chain(factory=chain)  # type: ignore[call-overload]  # it has no name
stream_chain(RunnableLambda(str))  # type: ignore[call-overload]  # a chain is no factory
stream_chain(mode="html")  # type: ignore[call-overload]
stream_chain(modus="text")  # type: ignore[call-overload]
stream_chain(hold_tokens="all")  # type: ignore[call-overload]
stream_chain(input_model=Question(question=""))  # type: ignore[call-overload]
stream_chain(handlers=TokenStreamingCallbackHandler)
stream_chain(handlers="tokens")  # type: ignore[call-overload]

app = Quart(__name__)
extension = LanarkyExtension(app, playground="/playground")
LanarkyExtension().init_app(app)
LanarkyExtension(app, "/playground")  # type: ignore[call-arg]  # by its name only
LanarkyExtension(app, playground=True)  # type: ignore[arg-type]

assert_type(extension.add_chain("/chat", RunnableLambda(str)), Blueprint)
assert_type(extension.add_chain("/chat", chain, name="chat", mode="text"), Blueprint)
assert_type(extension.is_draining, bool)
extension.add_chain(RunnableLambda(str), "/chat")  # type: ignore[arg-type]
extension.add_chain("/chat", chain, methods=("POST",), websocket=False, hold_tokens=0)
extension.add_chain("/chat", chain, mod="text")  # type: ignore[call-arg]
extension.add_chain("/chat", chain, hold_tokens="all")  # type: ignore[arg-type]
extension.is_draining = True  # type: ignore[misc]


@app.post("/chat")
@stream_chain
def chat() -> Runnable[Any, Any]:
    return chain()


@app.get("/search")
@app.websocket("/search/ws")
@stream_chain(mode="text", input_model=Question)
async def search(depth: int = 3) -> AsyncIterator[Runnable[Any, Any]]:
    yield RunnableLambda(lambda question: f"{depth}: {question}")


async def drained() -> None:
    assert_type(await extension.drain(), None)
    await extension.drain(2.5)
    await extension.drain("soon")  # type: ignore[arg-type]
