"""Which tokens the handlers send for the callbacks of a run."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_classic.callbacks.streaming_stdout_final_only import (
    FinalStreamingStdOutCallbackHandler,
)
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, LLMResult

from quart_lanarky.adapters.langchain.callbacks import (
    FinalTokenStreamingCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.selection import (
    INTERNAL_CALL,
    AnswerSpec,
    InNodes,
    StopPattern,
    Tagged,
)
from quart_lanarky.adapters.langchain.handlers.tokens import TokenHandler
from quart_lanarky.events import Event
from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.native.encode import encode
from tests.adapters.handlers.recorder import OTHER, ROOT, RUN, Recorder

TOOLS = {"invocation_params": {"tools": [{"name": "look"}]}}


def result(text: str) -> LLMResult:
    return LLMResult(generations=[[Generation(text=text)]])


def call(text: str = "") -> LLMResult:
    """The result of a model run that calls a tool."""
    message = AIMessage(text, tool_calls=[{"name": "look", "args": {}, "id": "1"}])
    return LLMResult(generations=[[ChatGeneration(message=message)]])


CALL_CHUNK = ChatGenerationChunk(
    message=AIMessageChunk("", tool_call_chunks=[tool_call_chunk(name="look", index=0)])
)


async def say(
    handler: TokenHandler, *tokens: str, run: UUID = RUN, end: LLMResult | None = None, **start: Any
) -> None:
    """Call the handler for a model run with these tokens, from its start to its end."""
    await handler.on_chat_model_start({}, [], run_id=run, **start)
    for token in tokens:
        await handler.on_llm_new_token(token, run_id=run)
    await handler.on_llm_end(end or result("".join(tokens)), run_id=run)


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


@pytest.fixture
def tokens(sink: Recorder) -> TokenStreamingCallbackHandler:
    return TokenStreamingCallbackHandler(sink, mode="text")


@pytest.fixture
def final(sink: Recorder) -> FinalTokenStreamingCallbackHandler:
    return FinalTokenStreamingCallbackHandler(sink, mode="text")


# -- once ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "data"), [("json", '{"token": "hi"}'), ("text", "hi")])
async def test_a_token_is_sent_in_the_handlers_mode(sink: Recorder, mode: Any, data: str) -> None:
    handler = TokenStreamingCallbackHandler(sink, mode=mode)
    await say(handler, "hi")
    [event] = sink.events
    assert event == Event("completion", "hi")
    assert encode(event, handler.mode) == EncodedEvent("completion", data)


async def test_an_empty_token_is_not_sent_and_does_not_count(sink: Recorder, tokens: Any) -> None:
    await say(tokens, "", end=result("whole"))
    assert [event.data for event in sink.events] == ["whole"]


@pytest.mark.parametrize("output", ["hi", AIMessage("hi"), {"text": "hi"}])
async def test_streamed_text_is_not_sent_again_at_the_end(
    sink: Recorder, tokens: Any, output: object
) -> None:
    await say(tokens, "h", "i")
    await tokens.on_chain_end(output, run_id=ROOT)
    assert [event.data for event in sink.events] == ["h", "i"]


async def test_streamed_json_with_other_formatting_is_not_sent_again(
    sink: Recorder, tokens: Any
) -> None:
    await say(tokens, '{"a":', "1}")
    await tokens.on_chain_end({"a": 1}, run_id=ROOT)
    assert len(sink.events) == 2


async def test_only_the_end_of_the_root_chain_sends_an_output(sink: Recorder) -> None:
    handler = TokenStreamingCallbackHandler(sink, mode="text", output_key="answer")
    await handler.on_chain_end({"answer": "inner"}, run_id=RUN, parent_run_id=ROOT)
    assert sink.events == []
    await handler.on_chain_end({"answer": "outer", "other": 1}, run_id=ROOT)
    assert sink.text() == "outer"


@pytest.mark.parametrize("nothing", ["", None, AIMessage("")])
async def test_a_chain_with_an_empty_answer_sends_nothing(
    sink: Recorder, tokens: Any, nothing: object
) -> None:
    await say(tokens, end=result(""))
    await tokens.on_chain_end(nothing, run_id=ROOT)
    assert sink.events == []


async def test_a_handler_that_is_reused_for_a_second_chain_starts_anew(
    sink: Recorder, tokens: Any
) -> None:
    await say(tokens, "one")
    await tokens.on_chain_end("one", run_id=ROOT)
    await say(tokens, "two", run=OTHER)
    await tokens.on_chain_end("two", run_id=OTHER)
    assert sink.text() == "onetwo"


async def test_a_root_run_that_starts_within_another_is_part_of_it(
    sink: Recorder, tokens: Any
) -> None:
    await tokens.on_chain_start({}, {}, run_id=ROOT)
    await tokens.on_chain_start({}, {}, run_id=OTHER)  # a fallback
    await say(tokens, "hi")
    await tokens.on_chain_end("hi", run_id=OTHER)
    await tokens.on_chain_end("hi", run_id=ROOT)
    assert [event.data for event in sink.events] == ["hi"]


async def test_a_handler_can_be_reused_after_a_chain_that_failed(
    sink: Recorder, tokens: Any
) -> None:
    await tokens.on_chain_start({}, {}, run_id=ROOT)
    await tokens.on_chain_error(RuntimeError(), run_id=OTHER, parent_run_id=ROOT)
    await tokens.on_chain_error(RuntimeError(), run_id=ROOT)
    await tokens.on_chain_start({}, {}, run_id=OTHER)
    await tokens.on_chain_end("hi", run_id=OTHER)
    assert sink.text() == "hi"


# -- exactly -------------------------------------------------------------------------------


async def test_text_that_the_chain_appends_is_sent_and_nothing_is_retracted(
    sink: Recorder, tokens: Any
) -> None:
    await say(tokens, "the", " answer")
    await tokens.on_chain_end("the answer is 42", run_id=ROOT)
    assert [event.data for event in sink.events] == ["the", " answer", " is 42"]


async def test_only_the_tokens_that_the_chain_changed_are_retracted(
    sink: Recorder, tokens: Any
) -> None:
    await say(tokens, "the", " answer", " is", " 43")
    await tokens.on_chain_end("the answer is 42", run_id=ROOT)
    assert sink.text() == "the answer is 42"
    assert sink.retracted() == 1


@given(
    said=st.lists(st.text("ab", min_size=1, max_size=3), max_size=6),
    output=st.text("ab", max_size=12),
)
async def test_the_text_at_the_end_equals_the_output_of_the_chain(
    said: list[str], output: str
) -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await say(handler, *said)
    await handler.on_chain_end(output, run_id=ROOT)
    assert sink.text() == output
    if output.startswith("".join(said)):
        assert sink.retracted() == 0


async def test_a_later_answer_run_retracts_the_text_of_the_earlier_one(
    sink: Recorder, tokens: Any
) -> None:
    await say(tokens, "a ", "question")
    await say(tokens, "the ", "answer", run=OTHER)
    await tokens.on_chain_end("the answer", run_id=ROOT)
    assert sink.text() == "the answer"
    assert sink.retracted() == 2


async def test_tokens_of_a_failed_model_stay_until_another_model_answers(
    sink: Recorder, tokens: Any
) -> None:
    await tokens.on_chat_model_start({}, [], run_id=RUN)
    await tokens.on_llm_new_token("so f", run_id=RUN)
    await tokens.on_llm_error(RuntimeError(), run_id=RUN)
    assert sink.text() == "so f"
    await say(tokens, "fallback", run=OTHER)
    assert sink.text() == "fallback"


async def test_two_concurrent_answer_runs_are_not_sent(sink: Recorder, tokens: Any) -> None:
    for run in (RUN, OTHER):
        await tokens.on_chat_model_start({}, [], run_id=run)
        await tokens.on_llm_new_token(f"{run}", run_id=run)
    await tokens.on_llm_end(result(""), run_id=OTHER)
    await tokens.on_llm_new_token("more", run_id=RUN)
    await tokens.on_llm_end(result(""), run_id=RUN)
    assert sink.text() == ""
    await tokens.on_chain_end({"a": "1", "b": "2"}, run_id=ROOT)
    assert sink.text() == '{"a": "1", "b": "2"}'
    assert tokens.fell_back


# -- which runs are answer runs ------------------------------------------------------------


@pytest.mark.parametrize("tag", ["nostream", "langsmith:nostream"])
async def test_tokens_of_a_model_with_a_nostream_tag_are_not_sent(
    sink: Recorder, tokens: Any, tag: str
) -> None:
    await say(tokens, "secret", tags=["other", tag])
    assert sink.events == []
    await tokens.on_chain_end("the answer", run_id=ROOT)
    assert sink.text() == "the answer"
    assert tokens.fell_back


async def test_tokens_of_a_call_that_middleware_marks_as_its_own_are_not_sent(
    sink: Recorder, tokens: Any
) -> None:
    await say(tokens, "no", metadata={"lc_internal_call": "a-token-of-langchain"})
    assert sink.events == []
    handler = TokenStreamingCallbackHandler(sink, mode="text", final_tag="answer")
    await say(handler, "no", tags=["answer"], metadata={"lc_internal_call": True})
    assert sink.events == []


def test_the_mark_of_internal_calls_is_that_of_langchain() -> None:
    own = pytest.importorskip("langchain.agents.middleware.internal_call_transformer")
    assert list(own.internal_call_metadata()) == [INTERNAL_CALL]


async def test_only_tokens_of_models_with_the_final_tag_are_sent(sink: Recorder) -> None:
    handler = TokenStreamingCallbackHandler(sink, mode="text", final_tag="mine")
    handler.use_spec(AnswerSpec(Tagged("not mine")))  # the final tag of the user decides
    await say(handler, "secret", tags=["seq:step:1"])
    await say(handler, "hi", run=OTHER, tags=["seq:step:2", "mine"])
    assert sink.text() == "hi"
    assert sink.retracted() == 0


async def test_tokens_of_a_model_inside_a_tool_are_not_sent(sink: Recorder, tokens: Any) -> None:
    await tokens.on_tool_start({}, "", run_id=ROOT)
    await say(tokens, "secret")
    await tokens.on_tool_end("", run_id=ROOT)
    await tokens.on_tool_start({}, "", run_id=ROOT)
    await tokens.on_tool_error(RuntimeError(), run_id=ROOT)
    await say(tokens, "hi", run=OTHER)
    assert [event.data for event in sink.events] == ["hi"]


async def test_tokens_of_a_model_in_the_condition_of_an_edge_are_not_sent(
    sink: Recorder, tokens: Any
) -> None:
    await tokens.on_chain_start({}, {}, run_id=ROOT, tags=["graph:step:1"])
    own, edge = UUID(int=1), UUID(int=2)
    await tokens.on_chain_start({}, {}, run_id=own, parent_run_id=ROOT, tags=["seq:step:1"])
    await say(tokens, "hi")
    await tokens.on_chain_end({}, run_id=own, parent_run_id=ROOT)
    await tokens.on_chain_start({}, {}, run_id=edge, parent_run_id=ROOT, tags=["seq:step:3"])
    await say(tokens, "secret", run=OTHER)
    await tokens.on_chain_error(RuntimeError(), run_id=edge, parent_run_id=ROOT)
    await say(tokens, "hello", run=OTHER)
    assert [event.data for event in sink.events if event.name == "completion"] == ["hi", "hello"]


async def test_a_dict_without_the_answer_key_is_sent_whole_if_there_is_a_spec(
    sink: Recorder, tokens: Any
) -> None:
    await say(tokens, "half an ans")
    await tokens.on_chain_end({"error": "sorry"}, run_id=ROOT)
    assert sink.text() == "half an ans"  # used directly, there is no spec
    tokens.use_spec(AnswerSpec(output_path=(("answer",),)))
    await say(tokens, "half an ans", run=OTHER)
    await tokens.on_chain_end({"error": "sorry"}, run_id=ROOT)
    assert sink.text() == 'half an ans{"error": "sorry"}'


@pytest.mark.parametrize(
    ("path", "is_sent"),
    [
        ("writer:1", True),
        ("reader:1", False),
        ("team:1", False),  # the graph, not one of its models
        ("team:1|lead:2", True),
        ("team:1|aide:2", False),
        ("writer:1|anything:2|deeper:3", True),
        ("", False),
    ],
)
async def test_in_a_graph_only_answer_nodes_are_sent(
    sink: Recorder, tokens: Any, path: str, is_sent: bool
) -> None:
    tokens.use_spec(AnswerSpec(InNodes("tag", {"writer": None, "team": {"lead": None}})))
    await say(tokens, "hi", tags=["tag"], metadata={"langgraph_checkpoint_ns": path})
    assert sink.text() == ("hi" if is_sent else "")


async def test_what_follows_the_answer_is_cut_off(sink: Recorder, tokens: Any) -> None:
    tokens.use_spec(AnswerSpec(output_path=(("answer",),), stop_pattern=StopPattern("SOURCES:", 8)))
    await say(tokens, "It is", " so.\nSOUR", "CES: a.md")
    await tokens.on_chain_end({"answer": "It is so.\n", "sources": "a.md"}, run_id=ROOT)
    assert sink.text() == "It is so.\n"
    assert sink.retracted() == 0


# -- answers after a prefix ----------------------------------------------------------------


def langchains_text(tokens: list[str], capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    handler = FinalStreamingStdOutCallbackHandler(**options)
    for token in tokens:
        handler.on_llm_new_token(token)
    return capsys.readouterr().out


@pytest.mark.parametrize("said", [["hm", "Final", " Answer", ":", " 42", "!"], ["hm", " 42"]])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stream_prefix": True},
        {"answer_prefix_tokens": ["Final", " Answer", ":"], "strip_tokens": False},
        {"answer_prefix_tokens": ["Answer", ":"]},
    ],
)
async def test_the_arguments_mean_the_same_as_in_langchain(
    sink: Recorder, said: list[str], options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = langchains_text(said, capsys, **options)
    # Where white space is ignored it is ignored around the answer too, as agents return it.
    if options.get("strip_tokens", True):
        expected = expected.strip()
    await say(FinalTokenStreamingCallbackHandler(sink, mode="text", **options), *said)
    assert sink.text() == expected


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"stream_prefix": True}, "Final Answer: 42"),
        ({"strip_tokens": False, "answer_prefix_tokens": ["Answer:"]}, " 42 "),
    ],
)
async def test_a_requested_prefix_and_white_space_are_not_retracted(
    sink: Recorder, option: dict[str, Any], text: str
) -> None:
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text", **option)
    await say(handler, "Final Answer: 42 ")
    await handler.on_chain_end({"output": "42"}, run_id=ROOT)
    assert [event.data for event in sink.events] == [text]


async def test_the_search_for_the_prefix_restarts_with_each_model_run(
    sink: Recorder, final: Any
) -> None:
    await say(final, "Final Ans")
    await say(final, "wer: no", run=OTHER)
    assert sink.events == []


async def test_a_second_final_answer_replaces_the_first(sink: Recorder, final: Any) -> None:
    await say(final, "Final Answer: 1\nAction: what?")
    await say(final, "Final Answer: 2", run=OTHER)
    await final.on_chain_end({"output": "2"}, run_id=ROOT)
    assert sink.text() == "2"


async def test_the_prefix_is_also_found_in_the_text_of_a_model_that_does_not_stream(
    sink: Recorder, final: Any
) -> None:
    await say(final, end=result("I think.\nFinal Answer: 42"))
    await final.on_chain_end({"output": "42"}, run_id=ROOT)
    assert [event.data for event in sink.events] == ["42"]


async def test_the_output_of_an_agent_without_a_final_answer_prefix_is_sent(
    sink: Recorder, final: Any
) -> None:
    await say(final, "I think")
    await final.on_chain_end({"output": "gave up", "intermediate_steps": []}, run_id=ROOT)
    assert sink.text() == "gave up"


# -- answers that call no tool -------------------------------------------------------------


async def test_tokens_of_a_model_without_tools_are_sent_at_once_in_a_graph(
    sink: Recorder, final: Any
) -> None:
    await final.on_chat_model_start({}, [], run_id=RUN, metadata={"langgraph_node": "model"})
    await final.on_llm_new_token("hi", run_id=RUN)
    assert sink.text() == "hi"


@pytest.mark.parametrize(("count", "taken_back"), [(31, 0), (32, 0), (33, 33), (40, 40)])
@pytest.mark.parametrize("ends_with_chunks", [True, False])
async def test_text_before_a_tool_call_is_held_or_retracted(
    sink: Recorder, final: Any, count: int, taken_back: int, ends_with_chunks: bool
) -> None:
    await final.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    for number in range(count):
        await final.on_llm_new_token(f"{number} ", run_id=RUN)
    if ends_with_chunks:
        await final.on_llm_new_token("", chunk=CALL_CHUNK, run_id=RUN)
        await final.on_llm_new_token("and more", run_id=RUN)  # not sent
    await final.on_llm_end(call(), run_id=RUN)
    assert sink.text() == ""
    assert sink.retracted() == taken_back
    await say(final, "done", run=OTHER, **TOOLS)
    assert sink.text() == "done"


@pytest.mark.parametrize(("hold", "at_once"), [(0, 1), (2, 3), (None, None)])
async def test_hold_tokens_sets_how_many_tokens_are_buffered(
    sink: Recorder, hold: int | None, at_once: int | None
) -> None:
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text", hold_tokens=hold)
    await handler.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    for number in range(1, 100):
        await handler.on_llm_new_token(f"{number} ", run_id=RUN)
        assert bool(sink.events) == (at_once is not None and number >= at_once)
    await handler.on_llm_end(result(""), run_id=RUN)
    assert len(sink.events) == 99


def phase_chunk(phase: str, version: str) -> ChatGenerationChunk:
    """What langchain-openai makes of the beginning of a message, in either form of content."""
    known = {"phase": phase} if version == "responses/v1" else {"extras": {"phase": phase}}
    return ChatGenerationChunk(
        message=AIMessageChunk([{"type": "text", "text": "", "index": 0, **known}])
    )


@pytest.mark.parametrize("version", ["responses/v1", "v1"])
async def test_what_a_model_announces_as_its_answer_is_not_buffered(
    sink: Recorder, final: Any, version: str
) -> None:
    await final.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    chunk = phase_chunk("final_answer", version)
    await final.on_llm_new_token("", chunk=chunk, run_id=RUN)
    for number, token in enumerate(["It ", "is ", "4°."], 1):
        await final.on_llm_new_token(token, run_id=RUN)
        assert len(sink.events) == number
    await final.on_llm_end(result("It is 4°."), run_id=RUN)
    assert sink.text() == "It is 4°."


async def test_an_announced_answer_that_ends_in_a_call_is_taken_back(
    sink: Recorder, final: Any
) -> None:
    await final.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    chunk = phase_chunk("final_answer", "v1")
    await final.on_llm_new_token("", chunk=chunk, run_id=RUN)
    await final.on_llm_new_token("It is", run_id=RUN)
    await final.on_llm_end(call("It is"), run_id=RUN)
    assert sink.text() == ""


@pytest.mark.parametrize("is_call", [True, False])
async def test_what_a_model_announces_as_commentary_waits_for_the_end(
    sink: Recorder, final: Any, is_call: bool
) -> None:
    await final.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    await final.on_llm_new_token("", chunk=phase_chunk("commentary", "v1"), run_id=RUN)
    words = [f"{number} " for number in range(100)]
    for word in words:
        await final.on_llm_new_token(word, run_id=RUN)
    assert sink.events == []
    await final.on_llm_end(call() if is_call else result("".join(words)), run_id=RUN)
    assert sink.text() == ("" if is_call else "".join(words))
    assert sink.retracted() == 0


async def test_commentary_and_an_answer_of_one_run_are_sent_once_it_answers(
    sink: Recorder, final: Any
) -> None:
    await final.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    for phase, word in (("commentary", "So: "), ("final_answer", "4°.")):
        assert sink.events == []
        await final.on_llm_new_token("", chunk=phase_chunk(phase, "v1"), run_id=RUN)
        await final.on_llm_new_token(word, run_id=RUN)
    assert sink.text() == "So: 4°."
    await final.on_llm_end(result("So: 4°."), run_id=RUN)
    assert sink.text() == "So: 4°."


@pytest.mark.parametrize(("hold", "sent"), [(0, ["a"]), (None, [])])
@pytest.mark.parametrize("phase", ["commentary", "final_answer"])
async def test_hold_tokens_for_none_and_for_all_stay_what_they_are(
    sink: Recorder, hold: int | None, sent: list[str], phase: str
) -> None:
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text", hold_tokens=hold)
    await handler.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    await handler.on_llm_new_token("", chunk=phase_chunk(phase, "v1"), run_id=RUN)
    await handler.on_llm_new_token("a", run_id=RUN)
    assert [event.data for event in sink.events] == sent


@pytest.mark.parametrize("hold", [0, 1])
async def test_tokens_sent_before_a_tool_call_are_retracted_once_it_is_known(
    sink: Recorder, hold: int
) -> None:
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text", hold_tokens=hold)
    await say(handler, "let me ", "see", end=call(), **TOOLS)
    assert sink.text() == ""
    assert sink.retracted() == 2


async def test_text_before_an_invalid_tool_call_is_sent(sink: Recorder, final: Any) -> None:
    await final.on_chat_model_start({}, [], run_id=RUN, **TOOLS)
    await final.on_llm_new_token("an answer", run_id=RUN)
    await final.on_llm_new_token("", chunk=CALL_CHUNK, run_id=RUN)
    await final.on_llm_end(result("an answer"), run_id=RUN)  # the call was not valid
    assert sink.text() == "an answer"


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ({"messages": [AIMessage("one"), AIMessage("two")]}, "two"),
        ({"messages": [AIMessage("two")], "structured_response": {"a": 1}}, '{"a": 1}'),
        ({"messages": [AIMessage("two")], "structured_response": None}, "two"),
        ({"input": "?", "output": "two"}, "two"),
    ],
)
async def test_the_output_of_an_agent_is_also_found_without_a_spec(
    sink: Recorder, final: Any, output: Any, answer: str
) -> None:
    await final.on_chain_end(output, run_id=ROOT)
    assert sink.text() == answer


def test_langchain_takes_a_handler_of_tokens_for_one_that_wants_to_stream() -> None:
    """Chat models stream under `ainvoke` only for such handlers; LangChain's class is private."""
    from langchain_core.tracers._streaming import _StreamingCallbackHandler

    assert isinstance(TokenStreamingCallbackHandler(), _StreamingCallbackHandler)
    assert not isinstance(StreamingCallbackHandler(), _StreamingCallbackHandler)


@pytest.mark.parametrize(
    "report",
    [
        lambda handler: handler.on_llm_new_token("", run_id=RUN),
        lambda handler: handler.on_stream_event({"event": "message-start"}, run_id=RUN),
    ],
    ids=["token", "event"],
)
async def test_a_model_that_swallows_its_cancellation_is_cancelled_at_its_next_token(
    sink: Recorder, report: Callable[[TokenHandler], Awaitable[None]]
) -> None:
    """Also if the token is empty, or nothing of it can be sent yet."""
    handler = TokenHandler(sink)
    begun = asyncio.Event()

    async def stream() -> None:
        with suppress(asyncio.CancelledError):
            begun.set()
            await asyncio.Event().wait()
        await report(handler)
        await asyncio.Event().wait()

    task = asyncio.create_task(stream())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
