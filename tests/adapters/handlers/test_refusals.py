"""A model that declines to answer, as each provider reports it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.graph import MessagesState, StateGraph
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.callbacks import TokenStreamingCallbackHandler
from quart_lanarky.adapters.langchain.handlers.refusals import Refusal, refusal_in
from quart_lanarky.testing import connect, stream
from tests.adapters.chains import look
from tests.adapters.handlers.recorder import OTHER, ROOT, RUN, Recorder

DECLINED = {"status_code": 422, "detail": "the model declined to answer"}
NO = "I cannot help with that."
BLOCK: list[Any] = [{"type": "refusal", "refusal": NO}]
FILTERED = {"finish_reason": "content_filter"}


class Model(BaseChatModel):
    """Says what it is given: chunks if it streams, else their sum."""

    chunks: list[AIMessageChunk]
    streams: bool = True

    @property
    def _llm_type(self) -> str:
        return "declining"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(tools=[{"name": "look"}])

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        whole = sum(self.chunks[1:], self.chunks[0])
        message = AIMessage(
            whole.content,
            additional_kwargs=whole.additional_kwargs,
            response_metadata=whole.response_metadata,
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk)


def says(*texts: Any, streams: bool = True, **last: Any) -> Model:
    """Return a model that says texts and content blocks, and ends with the fields of a message."""
    chunks = [AIMessageChunk(text) for text in texts]
    return Model(
        chunks=[*chunks, AIMessageChunk("", **last)], streams=streams, disable_streaming=not streams
    )


def refuses(streams: bool) -> dict[str, Model]:
    """Return models whose refusals have a text."""
    return {
        "openai": says(additional_kwargs={"refusal": NO}, streams=streams),
        "responses": says(BLOCK, streams=streams),
    }


def is_stopped(streams: bool) -> dict[str, Model]:
    """Return models whose messages end early, after no text."""
    ends: dict[str, Any] = {
        "openai": FILTERED,
        "responses": {"incomplete_details": {"reason": "content_filter"}},
        "anthropic": {"stop_reason": "refusal"},
        "bedrock": {"stopReason": "content_filtered"},
        "google": {"finish_reason": "SAFETY"},
        "google, the prompt": {"prompt_feedback": {"block_reason": "SAFETY"}},
    }
    models = {name: says(response_metadata=end, streams=streams) for name, end in ends.items()}
    return models | {"v1": says([{"type": "refusal", "refusal": ""}], streams=streams)}


def graph_of(model: Model) -> Any:
    async def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return StateGraph(MessagesState).add_node(node).add_edge("__start__", "node").compile()


def generator_of(model: Model) -> Any:
    async def generate(question: str) -> AsyncIterator[Any]:
        async for chunk in model.astream(question):
            yield chunk

    return RunnableLambda(generate)


SHAPES: dict[str, Any] = {
    "generator": generator_of,
    "model": lambda model: model,
    "parser": lambda model: model | StrOutputParser(),
    "function": lambda model: RunnableLambda(lambda _: model),
    "graph": graph_of,
    "agent": lambda model: create_agent(model, [look]),
}

each_shape = pytest.mark.parametrize("shape", SHAPES)
each_behaviour = pytest.mark.parametrize("streams", [True, False])


async def ask(chain: Runnable[Any, Any], shape: str = "model") -> tuple[list[Any], int, Any]:
    """Return the events over SSE and over a WebSocket, and the JSON response."""
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/ask", chain, mode="text")
    messages = {"messages": [{"role": "user", "content": "How?"}]}
    body = messages if shape in ("graph", "agent") else {"input": "How?"}
    client = app.test_client()
    events = [event async for event in stream(client, "/ask", json=body)]
    async with connect(client, "/ask/ws") as conversation:
        frames = [event async for event in conversation.ask(body)]
    seen = [(event.name, event.data) for event in events[:-1]]
    assert [(event.name, event.data) for event in frames[:-1]] == seen
    response = await client.post("/ask", json=body, headers={"Accept": "application/json"})
    return seen, response.status_code, await response.get_json()


@each_shape
@each_behaviour
@pytest.mark.parametrize("provider", refuses(streams=True))
async def test_the_text_of_a_refusal_is_the_answer(
    shape: str, streams: bool, provider: str
) -> None:
    chain = SHAPES[shape](refuses(streams)[provider])
    assert await ask(chain, shape) == ([("completion", NO)], 200, {"output": NO})


@each_shape
@each_behaviour
@pytest.mark.parametrize("provider", is_stopped(streams=True))
async def test_a_refusal_without_a_text_is_an_error(
    shape: str, streams: bool, provider: str
) -> None:
    events, status, body = await ask(SHAPES[shape](is_stopped(streams)[provider]), shape)
    assert [name for name, _ in events] == ["error"]
    assert (status, body) == (422, DECLINED)


async def test_a_refusal_streams_if_the_model_streams_it() -> None:
    model = says(
        [{"type": "refusal", "refusal": "I ", "index": 0}],
        [{"type": "refusal", "refusal": "cannot.", "index": 0}],
    )
    events, _, body = await ask(model)
    assert events == [("completion", "I "), ("completion", "cannot.")]
    assert body == {"output": "I cannot."}


@each_shape
async def test_an_answer_that_is_cut_is_an_error_after_its_tokens(shape: str) -> None:
    chain = SHAPES[shape](says("Once ", "upon", response_metadata=FILTERED))
    events, status, body = await ask(chain, shape)
    names = [name for name, _ in events]
    assert (names[-1], set(names[:-1]), status, body) == ("error", {"completion"}, 422, DECLINED)
    assert "".join(data for name, data in events if name == "completion") == "Once upon"


async def test_a_chain_that_says_something_else_has_answered() -> None:
    """What the app makes of a refusal is the answer."""
    chain = is_stopped(streams=True)["openai"] | StrOutputParser() | (lambda said: said or "Sorry!")
    assert await ask(chain) == ([("completion", "Sorry!")], 200, {"output": "Sorry!"})
    chain = refuses(streams=True)["openai"] | StrOutputParser() | (lambda said: said or "Sorry!")
    events, _, body = await ask(chain)
    assert events[-1] == ("completion", "Sorry!")
    assert body == {"output": "Sorry!"}


async def test_a_refusal_of_a_model_that_does_not_answer_is_no_refusal() -> None:
    judge, model = says(response_metadata=FILTERED), says("Gladly.")

    async def judge_first(question: str) -> Any:
        await judge.ainvoke(question)
        return model

    assert await ask(RunnableLambda(judge_first)) == (
        [("completion", "Gladly.")],
        200,
        {"output": "Gladly."},
    )


async def test_a_second_model_may_answer_what_the_first_declined() -> None:
    async def node(state: MessagesState) -> dict[str, Any]:
        await says(response_metadata=FILTERED).ainvoke(state["messages"])
        return {"messages": [await says("Gladly.").ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState).add_node(node).add_edge("__start__", "node").compile()
    assert await ask(graph, "graph") == ([("completion", "Gladly.")], 200, {"output": "Gladly."})


async def test_only_the_last_answer_run_can_have_declined() -> None:
    handler = TokenStreamingCallbackHandler(Recorder(), mode="text")
    declined = AIMessage("", response_metadata=FILTERED)
    await handler.on_chat_model_start({}, [], run_id=RUN)
    await handler.on_llm_end(
        LLMResult(generations=[[ChatGeneration(message=declined)]]), run_id=RUN
    )
    await handler.on_chat_model_start({}, [], run_id=OTHER)
    await handler.on_llm_error(ValueError(), run_id=OTHER)
    await handler.on_chain_end("", run_id=ROOT)
    assert handler.failure is None


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        (AIMessage("hi"), None),
        (AIMessage("hi", response_metadata={"finish_reason": "stop"}), None),
        (AIMessage("hi", response_metadata={"prompt_feedback": {"block_reason": 0}}), None),
        (
            AIMessage("hi", response_metadata={"prompt_feedback": "?", "incomplete_details": "?"}),
            None,
        ),
        (AIMessage("hi", response_metadata={"finish_reason": ["stop"]}), None),
        (AIMessage("", additional_kwargs={"refusal": None}), None),
        (AIMessage([{"type": "refusal", "refusal": 1}]), Refusal("")),
        (HumanMessage("hi"), None),
    ],
)
def test_what_is_a_refusal(message: Any, refusal: Refusal | None) -> None:
    assert refusal_in(LLMResult(generations=[[ChatGeneration(message=message)]])) == refusal
    assert refusal_in(LLMResult(generations=[[]])) is None
    assert refusal_in(LLMResult(generations=[])) is None
