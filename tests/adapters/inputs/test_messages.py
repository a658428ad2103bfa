"""Which forms of messages are accepted from clients, and which are refused."""

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, get_args

import pytest
from annotated_types import MinLen
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    MessageLikeRepresentation,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
    merge_message_runs,
    messages_to_dict,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langgraph.graph.message import add_messages
from pydantic import TypeAdapter, ValidationError

from quart_lanarky.adapters.langchain.inputs.client_data import check_client_data
from quart_lanarky.adapters.langchain.inputs.messages import (
    ChatTurns,
    Message,
    Messages,
    TextOrMessages,
    with_messages,
)
from quart_lanarky.adapters.langchain.inputs.policy import Acceptable, InputPolicy

HI = HumanMessage("hi")
BLOCKS = [{"type": "text", "text": "hi"}]


EVERYTHING = InputPolicy(accept=get_args(Acceptable))


def converted(kind: Any, value: Any, policy: InputPolicy = EVERYTHING) -> Any:
    assert check_client_data({"value": value}, policy) == {}
    return TypeAdapter(kind).validate_python(value, context=policy)


def errors(kind: Any, value: Any, policy: InputPolicy = EVERYTHING) -> dict[Any, str]:
    if refused := check_client_data({"value": value}, policy):
        return refused
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(kind).validate_python(value, context=policy)
    return {error["loc"]: error["msg"] for error in invalid.value.errors()}


@pytest.mark.parametrize(
    "message",
    [
        "hi",
        {"role": "user", "content": "hi"},
        {"role": "human", "content": "hi"},
        {"type": "human", "content": "hi"},
        {"type": "user", "content": "hi"},
        {"type": "human", "data": {"content": "hi", "type": "human"}},
        ["user", "hi"],
        ("human", "hi"),
        HI,
    ],
)
def test_all_forms_of_a_message_are_accepted_and_one_alone_is_a_list_of_one(message: Any) -> None:
    assert converted(Messages, message) == converted(Messages, [message]) == [HI]
    assert converted(Message, message) == HI


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"role": "assistant", "content": "x"}, AIMessage("x")),
        ({"role": "ai", "content": "x"}, AIMessage("x")),
        ({"role": "system", "content": "x"}, SystemMessage("x")),
        ({"role": "user", "content": BLOCKS}, HumanMessage(BLOCKS)),  # type: ignore[arg-type]
        (["user", BLOCKS], HumanMessage(BLOCKS)),  # type: ignore[arg-type]
        (["user", ["a", "b"]], HumanMessage(["a", "b"])),
        ({"type": "human", "content": BLOCKS, "id": "1"}, HumanMessage(BLOCKS, id="1")),  # type: ignore[arg-type]
        ({"role": "user", "content": "x", "name": "ann"}, HumanMessage("x", name="ann")),
        ({"type": "chat", "role": "critic", "content": "x"}, ChatMessage("x", role="critic")),
    ],
)
def test_roles_and_contents_are_converted(item: Any, message: BaseMessage) -> None:
    assert converted(Messages, [item]) == [message]


def test_a_message_with_tool_calls_needs_no_content() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = converted(Message, {"role": "assistant", "content": None, "tool_calls": [call]})
    assert message.tool_calls == [{"id": "1", "type": "tool_call", "name": "f", "args": {"a": 1}}]


@pytest.mark.parametrize(
    "message",
    [HI, AIMessage("x", id="1"), ToolMessage("x", tool_call_id="1")],
)
def test_messages_serialised_by_langchain_are_read_back(message: BaseMessage) -> None:
    dumped = message.model_dump(mode="json")
    assert converted(Message, messages_to_dict([message])[0]) == message
    assert converted(Message, dumped) == message


CUT_OFF = '{"a":' + 50 * " "
CALL = {"name": "x", "args": CUT_OFF, "id": "1"}
RAW_CALL = {"id": "1", "function": {"name": "x", "arguments": CUT_OFF}}


@pytest.fixture
def guesses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the truncated JSON texts that LangChain completes, in quadratic time."""
    found: list[str] = []

    def parse(text: str, *, strict: bool = False) -> Any:
        try:
            return json.loads(text, strict=strict)
        except ValueError:
            found.append(text)
            return {}

    monkeypatch.setattr("langchain_core.messages.ai.parse_partial_json", parse)
    AIMessageChunk("", tool_call_chunks=[{**CALL, "index": 0}])  # type: ignore[typeddict-item]
    assert found.pop() == CUT_OFF  # it is called by this name
    return found


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (AIMessageChunk("x", id="1"), AIMessage("x", id="1")),
        (AIMessageChunk("x", chunk_position="last"), AIMessage("x")),
        (HumanMessageChunk("hi"), HI),
        (SystemMessageChunk("x"), SystemMessage("x")),
        (ToolMessageChunk("x", tool_call_id="1"), ToolMessage("x", tool_call_id="1")),
        (FunctionMessageChunk("x", name="f"), FunctionMessage("x", name="f")),
        (ChatMessageChunk("x", role="critic"), ChatMessage("x", role="critic")),
    ],
)
def test_a_message_chunk_is_read_as_a_whole_message(
    chunk: BaseMessage, message: BaseMessage
) -> None:
    dumped = chunk.model_dump(mode="json")
    for form in (messages_to_dict([chunk])[0], dumped, {"type": dumped["type"], "data": dumped}):
        assert converted(Message, form) == message


def test_complete_tool_calls_of_a_message_chunk_are_kept(guesses: list[str]) -> None:
    chunk = AIMessageChunk("", tool_calls=[{"name": "x", "args": {"a": 1}, "id": "1"}])
    message = converted(Message, messages_to_dict([chunk])[0])
    assert message == AIMessage("", tool_calls=chunk.tool_calls)
    assert guesses == []


@pytest.mark.parametrize(
    "data",
    [
        {"tool_call_chunks": [{**CALL, "index": 0}]},
        {"tool_call_chunks": [{**CALL, "index": 0}], "chunk_position": "last"},
        {"invalid_tool_calls": [CALL]},
    ],
)
@pytest.mark.parametrize("form", ["AIMessageChunk", "ai", "data", "role"])
def test_truncated_json_of_a_client_is_not_completed(
    guesses: list[str], form: str, data: dict[str, Any]
) -> None:
    written: dict[str, Any] = {"content": "", **copy.deepcopy(data)}
    if form == "data":
        written = {"type": "AIMessageChunk", "data": written}
    else:
        written |= {"role": "assistant"} if form == "role" else {"type": form}
    messages = converted(Messages, [written])
    assert [type(message) for message in messages] == [AIMessage]
    assert messages[0].tool_calls == messages[0].invalid_tool_calls == []
    merge_message_runs([*messages, *messages])  # makes chunks of messages, and adds them
    assert guesses == []


def test_a_chunk_type_is_no_role() -> None:
    [why] = errors(Messages, {"role": "AIMessageChunk", "content": ""}).values()
    assert why.startswith("there is no role 'AIMessageChunk'")


@pytest.mark.parametrize(
    "data",
    [
        {"additional_kwargs": {"tool_calls": [RAW_CALL]}},
        {"tool_calls": [RAW_CALL]},
        {"content": [CALL | {"type": "tool_call_chunk"}], "chunk_position": "last"},
    ],
)
@pytest.mark.parametrize("form", [{"type": "AIMessageChunk"}, {"type": "ai"}, {"role": "ai"}])
def test_a_tool_call_that_is_not_whole_is_refused(
    guesses: list[str], form: dict[str, str], data: dict[str, Any]
) -> None:
    [why] = errors(Message, {"content": "", **form, **copy.deepcopy(data)}).values()
    assert "valid JSON" in why or "whole" in why
    assert guesses == []


def test_tool_calls_in_the_format_of_a_provider_are_kept() -> None:
    whole = {"id": "2", "function": {"name": "y", "arguments": '{"a": 1}'}}
    extra: dict[str, Any] = {"tool_calls": [whole]}
    message = converted(Message, {"type": "ai", "content": "", "additional_kwargs": extra})
    assert [call["name"] for call in message.tool_calls] == ["y"]
    assert message.additional_kwargs == {"tool_calls": [whole]}


def test_tool_calls_are_those_of_the_assistant() -> None:
    written = {"type": "human", "content": "hi", "tool_calls": ["x"]}
    assert len(converted(Messages, [written, "hi"])) == 2


RESULT = {"role": "tool", "content": "7", "tool_call_id": "1"}
CALLING = {"role": "ai", "content": "", "tool_calls": [{"id": "1", "name": "f", "args": {}}]}
TWO = [{"id": id_, "name": "f", "args": {}} for id_ in "12"]
USING = {"role": "ai", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]}
USED = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "7"}]}
CALLED = {"role": "ai", "content": [{"type": "function_call", "call_id": "1", "name": "f"}]}
GAVE = {"role": "user", "content": [{"type": "function_call_output", "call_id": "1"}]}


@pytest.mark.parametrize(
    "messages",
    [
        ["hi", CALLING, RESULT, ["ai", "7"], CALLING, RESULT],
        [{**CALLING, "tool_calls": TWO}, {**RESULT, "tool_call_id": "2"}, RESULT],
        [USING, USED],
        [USING, RESULT],
        [CALLED, GAVE],
    ],
)
@pytest.mark.parametrize("kind", [Messages, ChatTurns])
def test_tool_calls_are_followed_by_their_results(kind: Any, messages: Any) -> None:
    assert len(converted(kind, messages)) == len(messages)


@pytest.mark.parametrize(
    "messages",
    [
        [CALLING],
        [CALLING, "hi", RESULT],
        [{**CALLING, "tool_calls": TWO}, RESULT],
        [{**CALLING, "tool_calls": TWO}, RESULT, "hi", {**RESULT, "tool_call_id": "2"}],
        [CALLING, CALLING, RESULT],
        [USING],
        [CALLED, "hi"],
    ],
)
@pytest.mark.parametrize("kind", [Messages, ChatTurns, TextOrMessages])
def test_a_tool_call_without_its_result_is_refused(kind: Any, messages: Any) -> None:
    [why] = errors(kind, messages).values()
    assert why == "a message with tool calls has to be followed by the result of each call"


@pytest.mark.parametrize(
    "messages",
    [
        RESULT,
        [RESULT],
        ["hi", RESULT],
        [RESULT, CALLING],
        [CALLING, RESULT, RESULT],
        [USED],
        [GAVE],
    ],
)
def test_a_result_without_its_tool_call_is_refused(messages: Any) -> None:
    [why] = errors(Messages, messages).values()
    assert why == "the result of a tool call has to follow the message with the call"


def test_a_list_of_two_texts_is_a_pair_only_if_it_begins_with_a_role() -> None:
    assert converted(Messages, ["hi", "user"]) == [HI, HumanMessage("user")]
    assert converted(Messages, [["user", "hi"], "x"]) == [HI, HumanMessage("x")]
    assert converted(Messages, ["user", ["ai", "x"]]) == [HumanMessage("user"), AIMessage("x")]
    assert converted(Messages, ["user", {"role": "ai", "content": "x"}])[1] == AIMessage("x")


@pytest.mark.parametrize("kind", [Messages, ChatTurns, TextOrMessages])
@pytest.mark.parametrize(
    ("item", "why"),
    [
        (None, "^a message is a text, "),
        (7, '{"role": "user", "content": "hi"}'),
        ([], "^a message is a text, "),
        ([1, 2], "there is no role 1; use one of user, human"),
        ({}, "^a message is a text, "),
        ({"content": "hi"}, "^a message is a text, "),
        ({"role": "pirate", "content": "hi"}, "there is no role 'pirate'; use one of user, human"),
        ({"role": {}, "content": "hi"}, "there is no role {}"),
        ({"role": "user"}, "the content has to be a text or a list of content blocks"),
        ({"role": "user", "content": 1}, "the content has to be"),
        ({"role": "user", "content": [1]}, "the content has to be"),
        ({"type": "human"}, "the content has to be"),
        ({"type": "human", "data": "hi"}, "the content has to be"),
        ({"type": "human", "data": {"content": 1}}, "the content has to be"),
        ({"type": "human", "content": "x", "name": 1}, "^this is no valid message: name: .*string"),
        ({"role": "tool", "content": "x"}, "needs the tool_call_id"),
        ({"role": "ai", "content": "", "tool_calls": [{"function": 3}]}, "^this is no valid mess"),
        ({"type": "remove", "id": "1", "content": ""}, "there is no role 'remove'"),
    ],
)
def test_an_invalid_message_is_refused_with_a_readable_reason(
    kind: Any, item: Any, why: str
) -> None:
    [(loc, message)] = errors(kind, ["fine", item]).items()
    assert loc == (1,)
    assert re.search(why, message) or why in message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["role", "type", "content", "data", "tool_calls", "id", "name"])
            | st.text(),
            inner | st.sampled_from(["user", "ai", "tool", "human", "AIMessageChunk"]),
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_makes_messages_or_a_validation_error(value: Any) -> None:
    if check_client_data({"value": value}, EVERYTHING):
        return
    try:
        found = converted(Messages, value)
    except ValidationError:
        return
    assert all(isinstance(message, BaseMessage) for message in found)


def test_a_text_input_of_a_model_stays_a_text() -> None:
    assert converted(TextOrMessages, "hi") == "hi"
    assert converted(TextOrMessages, ["hi"]) == converted(TextOrMessages, ["user", "hi"]) == [HI]


def test_a_history_has_messages_and_pairs_of_question_and_answer() -> None:
    turns = [["who?", "me"], ["ai", "x"], {"role": "user", "content": "hi"}, "hi"]
    assert converted(ChatTurns, turns) == [("who?", "me"), AIMessage("x"), HI, HI]
    assert converted(ChatTurns, [("who?", "me")]) == [("who?", "me")]
    assert converted(ChatTurns, []) == []
    assert "there is no role 'a'" in errors(ChatTurns, [["a", 1]])[(0,)]


@pytest.mark.parametrize(
    ("hint", "found"),
    [
        (BaseMessage, Message),
        (AIMessage, Message),
        (AIMessage | HumanMessage, Message),
        (str | BaseMessage, Message),
        (AnyMessage, Message),
        (list[BaseMessage], Messages),
        (list[AnyMessage], Messages),
        (Sequence[BaseMessage], Messages),
        (tuple[BaseMessage, ...], Messages),
        (list[MessageLikeRepresentation], Messages),
        (BaseMessage | list[BaseMessage], Messages),
        (Annotated[list[AnyMessage], add_messages], Messages),
        (Annotated[list, add_messages], Messages),
        (Annotated[list, add_messages(format="langchain-openai")], Messages),
        (str | BaseMessage | Sequence[BaseMessage], TextOrMessages),
        (LanguageModelInput, TextOrMessages),
        (list[tuple[str, str] | BaseMessage], ChatTurns),
        (list[AnyMessage] | None, Messages | None),
        (dict[str, list[BaseMessage]], dict[str, Messages]),
        (list[BaseMessage] | int, Messages | int),
        (dict[str, BaseMessage] | int, dict[str, Message] | int),
        (tuple[str, BaseMessage], tuple[str, Message]),
        (
            Annotated[list[BaseMessage], MinLen(1)],
            Annotated[Messages, MinLen(1)],
        ),
    ],
)
def test_message_types_are_replaced_inside_other_types(hint: Any, found: Any) -> None:
    assert with_messages(hint) == found == with_messages(found)
    TypeAdapter(with_messages(hint)).json_schema()


@pytest.mark.parametrize(
    "hint",
    [int, Any, list, Sequence[int | None], Literal["a"], Callable[[int], str], dict[str, Any]],
)
def test_a_type_without_messages_is_returned_unchanged(hint: Any) -> None:
    assert with_messages(hint) is hint


def test_the_type_of_a_placeholder_is_messages() -> None:
    prompt = ChatPromptTemplate([MessagesPlaceholder("history")])
    assert with_messages(prompt.input_types["history"]) == Messages


@pytest.mark.parametrize("kind", [Message, Messages, TextOrMessages, ChatTurns])
def test_the_json_schemas_are_short(kind: Any) -> None:
    schema = TypeAdapter(kind).json_schema()
    assert "$defs" not in schema
    assert len(str(schema)) < 2500


def test_messages_are_dumped_with_all_their_fields() -> None:
    message = ToolMessage("x", tool_call_id="1")
    dumped = TypeAdapter(Messages).dump_python([message])
    assert dumped == [message.model_dump()]
