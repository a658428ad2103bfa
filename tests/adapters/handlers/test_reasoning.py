"""Reasoning: that of the answer runs, as each provider gives it, once and apart from the answer."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import RunnableGenerator
from langgraph.graph import MessagesState, StateGraph
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.callbacks import ReasoningStreamingCallbackHandler
from quart_lanarky.adapters.langchain.handlers.reasoning import event_reasoning, message_reasoning
from tests.adapters.handlers.messages import events_of_chain
from tests.adapters.handlers.recorder import OTHER, ROOT, RUN, Recorder

SECRET = "c2lnbmVk"

Content = str | list[str | dict[str, Any]]

FORMATS: dict[str, tuple[Content, dict[str, Any]]] = {
    "v1": ([{"type": "reasoning", "reasoning": "Hm", "index": "lc_rs_1"}], {}),
    "anthropic": ([{"type": "thinking", "thinking": "Hm", "index": 0, "signature": SECRET}], {}),
    "google": ([{"type": "thinking", "thinking": "Hm", "signature": SECRET}], {}),
    "mistral": ([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}], {}),
    "not known to LangChain": (
        [{"type": "non_standard", "value": {"type": "thinking", "thinking": "Hm"}, "index": 0}],
        {},
    ),
    "bedrock": (
        [{"type": "reasoning_content", "reasoning_content": {"text": "Hm", "signature": SECRET}}],
        {},
    ),
    "openai, a summary": (
        [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm"}],
                "encrypted_content": SECRET,
            }
        ],
        {},
    ),
    "openai, its content": (
        [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm"}]}],
        {},
    ),
    "openai, beside the content": (
        "",
        {"reasoning": {"summary": [{"text": "Hm"}], "encrypted_content": SECRET}},
    ),
    "deepseek and others": ("", {"reasoning_content": "Hm"}),
}
NO_REASONING: dict[str, tuple[Content, dict[str, Any]]] = {
    "text": ("<think>Hm</think>", {}),
    "a block of text": ([{"type": "text", "text": "Hm"}, "Hm"], {}),
    "signature": ([{"type": "thinking", "signature": SECRET}], {}),
    "redacted": ([{"type": "redacted_thinking", "data": SECRET}], {}),
    "encrypted": ([{"type": "reasoning", "summary": [], "encrypted_content": SECRET}], {}),
    "other things": ("", {"reasoning_content": {"a": 1}, "reasoning": "Hm"}),
    "empty": ([{"type": "reasoning", "reasoning": ""}], {"reasoning_content": ""}),
}


def chunk_of(content: Content, kwargs: dict[str, Any] | None = None) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content, additional_kwargs=kwargs or {}))


def of_anthropic(content: Content) -> ChatGenerationChunk:
    metadata = {"model_provider": "anthropic"}  # without it LangChain does not know the blocks
    return ChatGenerationChunk(message=AIMessageChunk(content, response_metadata=metadata))


@pytest.mark.parametrize("name", FORMATS)
def test_reasoning_is_read_from_the_messages_of_each_provider(name: str) -> None:
    content, kwargs = FORMATS[name]
    for message in (
        AIMessage(content, additional_kwargs=kwargs),
        chunk_of(content, kwargs).message,
    ):
        assert [text for _, text in message_reasoning(message)] == ["Hm"]


@pytest.mark.parametrize("name", NO_REASONING)
def test_what_is_no_reasoning_is_not_read(name: str) -> None:
    content, kwargs = NO_REASONING[name]
    assert message_reasoning(AIMessage(content, additional_kwargs=kwargs)) == []


def delta(text: Any, index: int = 0, kind: str = "reasoning-delta") -> dict[str, Any]:
    part = {"type": kind, kind.removesuffix("-delta"): text}
    return {"event": "content-block-delta", "index": index, "delta": part}


def test_reasoning_is_read_from_events() -> None:
    assert event_reasoning(delta("Hm", 1)) == (1, "Hm")
    for event in (delta(""), delta("Hm", kind="text-delta"), delta(None), {"event": "x"}):
        assert event_reasoning(event) is None
    finish = {"event": "content-block-finish", "content": {"type": "reasoning", "reasoning": "Hm"}}
    assert event_reasoning(finish) is None


# -- one run -------------------------------------------------------------------------------


class Hearing(ReasoningStreamingCallbackHandler):
    """The handler, with what it sends, driven as LangChain does."""

    def __init__(self, **options: Any) -> None:
        self.recorder = Recorder()
        super().__init__(self.recorder, mode="text", **options)

    async def start(self, run_id: Any = RUN, **kwargs: Any) -> None:
        await self.on_chat_model_start({}, [], run_id=run_id, **kwargs)

    async def hear(self, content: Content, run_id: Any = RUN, **kwargs: Any) -> None:
        chunk = chunk_of(content, kwargs)
        await self.on_llm_new_token(chunk.text, chunk=chunk, run_id=run_id)

    async def finish(self, content: Content = "", run_id: Any = RUN, **kwargs: Any) -> None:
        message = AIMessage(content, additional_kwargs=kwargs)
        result = LLMResult(generations=[[ChatGeneration(message=message)]])
        await self.on_llm_end(result, run_id=run_id)

    @property
    def tokens(self) -> list[str]:
        return [event.data for event in self.recorder.events]


def thinking(text: str, index: int = 0) -> Content:
    return [{"type": "thinking", "thinking": text, "index": index}]


async def test_reasoning_streams_and_is_not_sent_again_at_the_end() -> None:
    heard = Hearing()
    await heard.start()
    await heard.hear("", reasoning_content="They ")
    await heard.hear("", reasoning_content="ask.")
    await heard.hear("Yes")
    await heard.finish("Yes", reasoning_content="They ask.")
    assert heard.tokens == ["They ", "ask."]


async def test_a_model_that_does_not_stream_has_its_reasoning_sent_whole() -> None:
    heard = Hearing()
    await heard.start()
    await heard.finish("Yes", reasoning_content="They ask.")
    assert heard.tokens == ["They ask."]


@pytest.mark.parametrize("streams", [False, True])
async def test_parts_are_paragraphs(streams: bool) -> None:
    heard = Hearing()
    await heard.start()
    whole: Content = [*thinking("One."), *thinking("Two.", 1)]
    if streams:
        for content in (thinking("On"), thinking("e."), thinking("Two.", 1), "Yes"):
            await heard.hear(content)
    await heard.finish(whole)
    assert "".join(heard.tokens) == "One.\n\nTwo."


async def test_what_has_no_index_streams_as_one_part_and_ends_as_several() -> None:
    blocks: Content = [{"type": "reasoning", "reasoning": text} for text in ("One.", "Two.")]
    heard = Hearing()
    await heard.start()
    for block in blocks:
        await heard.hear([block])
    await heard.start(OTHER)
    await heard.finish(blocks)
    await heard.finish(blocks, OTHER)
    assert "".join(heard.tokens) == "One.Two.\n\nOne.\n\nTwo."


async def test_the_next_call_of_an_agents_model_is_a_paragraph() -> None:
    heard = Hearing()
    for run_id, text in ((RUN, "I look it up."), (OTHER, "I know.")):
        await heard.start(run_id)
        await heard.hear(thinking(text), run_id)
        await heard.finish("", run_id)
    assert "".join(heard.tokens) == "I look it up.\n\nI know."


async def test_the_reasoning_of_parallel_runs_is_not_mixed() -> None:
    heard = Hearing()
    third = ROOT
    for run_id in (RUN, OTHER, third):
        await heard.start(run_id)
    await heard.hear(thinking("a"), RUN)
    await heard.hear(thinking("b"), OTHER)
    await heard.hear(thinking("c"), third)
    await heard.hear(thinking("A"), RUN)
    await heard.finish(run_id=OTHER)
    assert heard.tokens == ["a", "A"]
    await heard.on_llm_error(ValueError(), run_id=RUN)
    await heard.hear(thinking("C"), third)
    await heard.finish(run_id=third)
    assert heard.tokens == ["a", "A", "\n\nb", "\n\nc", "C"]


async def test_a_run_that_waits_for_no_other_streams() -> None:
    heard = Hearing()
    await heard.start(RUN)
    await heard.start(OTHER)
    await heard.hear(thinking("b"), OTHER)
    await heard.finish("Yes", RUN)
    await heard.hear(thinking("B"), OTHER)
    assert heard.tokens == ["b", "B"]


async def test_the_first_source_of_a_runs_reasoning_counts() -> None:
    heard = Hearing()
    await heard.start()
    await heard.on_stream_event(delta("a"), run_id=RUN)
    await heard.hear("", reasoning_content="a")
    await heard.on_stream_event(delta("b"), run_id=RUN)
    await heard.start(OTHER)
    await heard.finish("", RUN, reasoning_content="ab")
    await heard.hear("", OTHER, reasoning_content="c")
    await heard.on_stream_event(delta("c"), run_id=OTHER)
    assert "".join(heard.tokens) == "ab\n\nc"


@pytest.mark.parametrize(
    "started", [{"tags": ["nostream"]}, {"metadata": {"lc_internal_call": True}}, None]
)
async def test_the_reasoning_of_other_runs_stays(started: dict[str, Any] | None) -> None:
    heard = Hearing()
    if started is not None:
        await heard.start(**started)
    await heard.hear(thinking("Hm"))
    await heard.on_stream_event(delta("Hm"), run_id=RUN)
    await heard.finish(thinking("Hm"))
    await heard.on_llm_error(ValueError(), run_id=RUN)
    assert heard.tokens == []


async def test_models_that_a_tool_calls_are_not_heard() -> None:
    heard = Hearing()
    await heard.on_tool_start({}, "", run_id=ROOT)
    await heard.start()
    await heard.finish(thinking("in the tool"))
    await heard.on_tool_end("", run_id=ROOT)
    await heard.start(OTHER)
    await heard.finish(thinking("after it"), OTHER)
    assert heard.tokens == ["after it"]


async def test_final_tag_selects_the_runs() -> None:
    heard = Hearing(final_tag="final")
    await heard.start(RUN)
    await heard.start(OTHER, tags=["final"])
    await heard.finish(thinking("a"), RUN)
    await heard.finish(thinking("b"), OTHER)
    assert heard.tokens == ["b"]


async def test_what_is_no_chat_model_is_left_alone() -> None:
    heard = Hearing()
    await heard.on_llm_start({}, [], run_id=RUN)
    await heard.on_llm_new_token("a", run_id=RUN)
    await heard.on_llm_end(LLMResult(generations=[[]]), run_id=RUN)
    assert heard.tokens == []


# -- whole chains --------------------------------------------------------------------------


class Thinker(BaseChatModel):
    """Thinks, then answers; whole, in chunks, or from a cache."""

    streams: bool = True
    form: Literal["kwargs", "blocks"] = "kwargs"

    @property
    def _llm_type(self) -> str:
        return "thinker"

    def _message(self) -> AIMessage:
        if self.form == "kwargs":
            return AIMessage("Yes.", additional_kwargs={"reasoning_content": "They ask."})
        return AIMessage([*thinking("They ask."), {"type": "text", "text": "Yes.", "index": 1}])

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._message())])

    def _chunks(self) -> list[ChatGenerationChunk]:
        if self.form == "kwargs":
            thoughts = [chunk_of("", {"reasoning_content": text}) for text in ("They ", "ask.")]
            return [*thoughts, chunk_of("Ye"), chunk_of("s.")]
        answer = ({"type": "text", "text": text, "index": 1} for text in ("Ye", "s."))
        return [
            *(of_anthropic(thinking(text)) for text in ("They ", "ask.")),
            *(of_anthropic([block]) for block in answer),
        ]

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks():
            yield chunk

    def _should_stream(self, **kwargs: Any) -> bool:
        return self.streams and super()._should_stream(**kwargs)


async def thinking_of(chain: Any, show: Sequence[str] = ("reasoning",)) -> list[Any]:
    return await events_of_chain(chain, "hi", show)


STREAMED = [("reasoning", text) for text in ("They ", "ask.")]
ANSWERED = [("completion", text) for text in ("Ye", "s.")]
WHOLE = [("reasoning", "They ask."), ("completion", "Yes.")]

each_form = pytest.mark.parametrize("form", ["kwargs", "blocks"])


@each_form
async def test_reasoning_comes_before_the_answer_and_apart_from_it(form: Any) -> None:
    assert await thinking_of(Thinker(form=form)) == STREAMED + ANSWERED
    assert await thinking_of(Thinker(form=form), show=()) == ANSWERED


@each_form
async def test_a_model_that_does_not_stream_thinks_before_it_answers(form: Any) -> None:
    assert await thinking_of(Thinker(form=form, streams=False)) == WHOLE


@each_form
async def test_a_cached_answer_has_its_reasoning_once(form: Any) -> None:
    model = Thinker(form=form, cache=InMemoryCache())
    first = await thinking_of(model)
    assert "".join(data for name, data in first if name == "reasoning") == "They ask."
    assert await thinking_of(model) == WHOLE


async def test_a_chain_that_puts_out_messages_of_its_own() -> None:
    async def generate(inputs: AsyncIterator[Any]) -> AsyncIterator[BaseMessage]:
        async for _ in inputs:
            for chunk in Thinker(form="blocks")._chunks():
                yield chunk.message

    assert await thinking_of(RunnableGenerator(generate)) == STREAMED + ANSWERED


@pytest.mark.skipif(
    not hasattr(BaseChatModel, "_aiter_v2_events"), reason="this LangChain has no such events"
)
@pytest.mark.filterwarnings("ignore")  # LangChain calls it a beta
@each_form
async def test_a_node_that_streams_its_model_by_events_thinks_once(form: Any) -> None:
    async def node(state: MessagesState) -> dict[str, Any]:
        streamed = await Thinker(form=form).astream_events(state["messages"], version="v3")
        return {"messages": [await streamed.output]}

    graph = StateGraph(MessagesState).add_node(node).add_edge("__start__", "node").compile()
    events = await events_of_chain(graph, {"messages": [("user", "hi")]}, ("reasoning",))
    assert events == STREAMED + ANSWERED


@pytest.mark.parametrize("mode", ["text", "json"])
async def test_over_a_route_reasoning_is_encoded_as_tokens_are(mode: Any) -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/think", Thinker(), mode=mode, show=("reasoning",))
    client = app.test_client()
    text = await (await client.post("/think", json={"input": "hi"})).get_data(as_text=True)
    data = "ask." if mode == "text" else '{"token": "ask."}'
    assert f"event: reasoning\ndata: {data}\n\n" in text
    async with client.websocket("/think/ws") as websocket:
        await websocket.send("hi")
        frames = [json.loads(await websocket.receive()) for _ in range(5)]
    assert frames[1] == {"event": "reasoning", "data": json.loads(data) if mode == "json" else data}
    response = await client.post(
        "/think", json={"input": "hi"}, headers={"Accept": "application/json"}
    )
    assert await response.get_json() == {"output": "Yes."}
    less = await client.post("/think", json={"input": "hi"}, headers={"Lanarky-Show": ""})
    assert "reasoning" not in await less.get_data(as_text=True)


async def test_alone_the_handler_makes_a_model_stream() -> None:
    recorder = Recorder()
    handler = ReasoningStreamingCallbackHandler(recorder)
    await Thinker().ainvoke("hi", config={"callbacks": [handler]})
    assert [event.data for event in recorder.events] == ["They ", "ask."]
