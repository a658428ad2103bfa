"""The events that a handler class declares, and how `send` enforces them."""

import abc
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, NotRequired
from uuid import UUID

import pytest
import typing_extensions
from langchain_core.callbacks import AsyncCallbackHandler
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, computed_field

from quart_lanarky import stream_chain
from quart_lanarky.adapters.langchain.callbacks import (
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.base import EventCallbackHandler
from quart_lanarky.errors import ConfigurationError
from quart_lanarky.events import (
    CompletionData,
    Event,
    InterruptData,
    RetractData,
    SourceDocument,
    SourceDocumentsData,
    completion,
    json_event,
)
from quart_lanarky.events.declared import DeclaredEvents, declared_events
from quart_lanarky.protocols.native.encode import Mode, encode
from quart_lanarky.runs.stream import EventStream
from tests.adapters.handlers.recorder import Recorder

TOKENS = {
    "completion": CompletionData,
    "retract": RetractData,
    "interrupt": InterruptData,
}
DOCUMENTS = {"source_documents": SourceDocumentsData}
MODES: list[Mode] = ["text", "json"]
A_TOKEN = ["x", {"token": "x"}, CompletionData.model_validate({"token": "x"})]
OURS = ["completion", "retract", "source_documents", "error", "end"]


class Progress(BaseModel):
    done: int
    total: int = 10


@dataclass
class ProgressData:
    done: int
    total: int = 10


class ProgressDict(typing_extensions.TypedDict):
    done: int
    total: NotRequired[int]


def handler_of(events: Any, *bases: type) -> Any:
    """Return a user's class of handlers with these `events`."""
    return type("Own", bases or (StreamingCallbackHandler,), {"events": events})


def made(kind: Any, data: Any) -> Event:
    """Return the event that a handler makes which declares `kind` for it."""
    return DeclaredEvents(handler_of({"mine": kind})).make("mine", data)


# -- what is declared ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "types"),
    [
        (EventCallbackHandler, {}),
        (StreamingCallbackHandler, {}),
        (WebSocketCallbackHandler, {}),
        (TokenStreamingCallbackHandler, TOKENS),
        (TokenWebSocketCallbackHandler, TOKENS),
        (FinalTokenStreamingCallbackHandler, TOKENS),
        (FinalTokenWebSocketCallbackHandler, TOKENS),
        (SourceDocumentStreamingCallbackHandler, DOCUMENTS),
        (SourceDocumentWebSocketCallbackHandler, DOCUMENTS),
    ],
)
def test_our_handlers_declare_all_that_they_send(handler: Any, types: dict[str, Any]) -> None:
    declared = DeclaredEvents(handler)
    assert declared.types == types
    assert declared.are_all


class Asks:
    """A mixin for both transports."""

    events: typing.ClassVar[Mapping[str, Any]] = {"asking": Progress, "asked": str}


class AskingTokens(Asks, TokenStreamingCallbackHandler):
    pass


class AskingMore(AskingTokens):
    events: typing.ClassVar[Mapping[str, Any]] = {"asked": int, "more": str}


class AskingLast(AskingMore, SourceDocumentStreamingCallbackHandler):
    pass


@pytest.mark.parametrize(
    ("handler", "types"),
    [
        (Asks, {"asking": Progress, "asked": str}),
        (AskingTokens, {"asking": Progress, "asked": str, **TOKENS}),
        (AskingMore, {"asking": Progress, "asked": int, "more": str, **TOKENS}),
        (AskingLast, {"asking": Progress, "asked": int, "more": str, **TOKENS, **DOCUMENTS}),
    ],
)
def test_a_class_adds_to_what_its_bases_declare(handler: Any, types: dict[str, Any]) -> None:
    assert DeclaredEvents(handler).types == types


def test_base_classes_of_any_framework_do_not_count_as_the_users() -> None:
    framework = type("Callback", (), {"__module__": "another_framework.callbacks"})
    names = {"__module__": "quart_lanarky.adapters.another.handlers", "events": {"note": str}}
    ours = type("NoteHandler", (framework,), names)
    assert declared_events(ours).are_all
    assert not declared_events(type("Users", (ours,), {})).are_all
    assert not declared_events(framework).are_all


@pytest.mark.parametrize("module", ["quart_lanarky_extras.handlers", "my.quart_lanarky"])
def test_a_package_with_a_similar_name_is_the_users(module: str) -> None:
    names = {"__module__": module, "events": {"note": str}}
    silent = type("Silent", (TokenStreamingCallbackHandler,), {"__module__": module})
    assert not declared_events(silent).are_all
    declared = declared_events(type("Noting", (TokenStreamingCallbackHandler,), names))
    with pytest.raises(ConfigurationError, match="unknown"):
        declared.make("unknown", 1)


@typing.runtime_checkable
class Named(typing.Protocol):
    name: str


class Notifier(typing.Protocol):
    def notify(self, note: str) -> None: ...


class Registered(abc.ABC):  # noqa: B024  # its subclass is registered below
    events: typing.ClassVar[Mapping[str, Any]] = {"asked": int}


class LikeAnyClass(abc.ABC):  # noqa: B024  # what it has is a hook
    events: typing.ClassVar[Mapping[str, Any]] = {"asked": int}

    @classmethod
    def __subclasshook__(cls, subclass: type) -> bool:
        return True


Registered.register(TokenStreamingCallbackHandler)


@pytest.mark.parametrize("base", [Named, Notifier])
def test_a_handler_may_implement_a_protocol(base: Any) -> None:
    declared = declared_events(type("Mine", (TokenStreamingCallbackHandler, base), {}))
    assert not declared.are_all
    assert declared.types == TOKENS


@pytest.mark.parametrize("base", [Registered, LikeAnyClass])
def test_what_an_abstract_base_declares_is_checked(base: Any) -> None:
    declared = declared_events(type("Mine", (TokenStreamingCallbackHandler, base), {}))
    assert declared.are_all
    with pytest.raises(ValueError, match="valid integer"):
        declared.make("asked", "no number")
    with pytest.raises(ConfigurationError, match="unknown"):
        declared.make("unknown", 1)


def test_the_first_of_two_bases_declares_a_name_that_both_have() -> None:
    number, text = handler_of({"x": int}, object), handler_of({"x": str, "y": str}, object)
    first = type("Both", (number, text, TokenStreamingCallbackHandler), {})
    second = type("Both", (text, number, TokenStreamingCallbackHandler), {})
    assert DeclaredEvents(first).types == {"x": int, "y": str, **TOKENS}
    assert DeclaredEvents(second).types == {"x": str, "y": str, **TOKENS}


def test_a_user_can_declare_another_payload_for_a_built_in_event() -> None:
    own = handler_of({"completion": Progress}, TokenStreamingCallbackHandler)
    assert DeclaredEvents(own).types == {**TOKENS, "completion": Progress}


def test_the_declared_events_of_a_class_are_read_once() -> None:
    assert declared_events(AskingTokens) is declared_events(AskingTokens)
    assert declared_events(AskingTokens) is not declared_events(AskingMore)


class Silent(TokenStreamingCallbackHandler):
    pass


class SilentMixin:
    pass


class NoneAtAll(TokenStreamingCallbackHandler):
    events: typing.ClassVar[Mapping[str, Any]] = {}


class SilentAndAsking(SilentMixin, AskingTokens):
    pass


class SilentBelow(NoneAtAll):
    pass


class Foreign(AsyncCallbackHandler):
    pass


@pytest.mark.parametrize(
    ("handler", "are_all"),
    [
        (Silent, False),
        (type("Mixed", (SilentMixin, TokenStreamingCallbackHandler), {}), False),
        (Foreign, False),
        (NoneAtAll, True),
        (SilentBelow, True),
        (AskingTokens, True),
        (SilentAndAsking, True),
        (object, False),  # stands for a function that makes handlers
        (AsyncCallbackHandler, False),  # nothing here knows the frameworks
    ],
)
def test_a_user_class_without_declared_events_can_send_any_event(
    handler: Any, are_all: bool
) -> None:
    assert DeclaredEvents(handler).are_all is are_all


@pytest.mark.parametrize("events", [None, ["asking"], "asking", 7, property(dict)])
def test_an_events_attribute_that_is_no_mapping_declares_nothing(events: Any) -> None:
    declared = DeclaredEvents(handler_of(events, TokenStreamingCallbackHandler))
    assert declared.types == TOKENS
    assert not declared.are_all
    assert declared.make("anything", "at all") == Event("anything", "at all")


# -- what is sent --------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [Silent, StreamingCallbackHandler, Foreign])
@pytest.mark.parametrize(
    ("data", "value", "text", "is_json"),
    [
        ("bare text", "bare text", "bare text", False),
        ("", "", "", False),
        ({"a": [1, None]}, {"a": [1, None]}, '{"a": [1, null]}', True),
        (["a"], ["a"], '["a"]', True),
        (None, None, "null", True),
        (Progress(done=1), {"done": 1, "total": 10}, '{"done": 1, "total": 10}', True),
    ],
)
def test_an_undeclared_event_is_sent_bare_if_it_is_a_text_and_else_as_json(
    handler: Any, data: Any, value: Any, text: str, is_json: bool
) -> None:
    event = DeclaredEvents(handler).make("mine", data)
    assert (event.name, event.data, event.json) == ("mine", value, text if is_json else None)
    for mode in MODES:
        sent = encode(event, mode)
        assert (sent.name, sent.data, sent.is_json) == ("mine", text, is_json)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Progress, Progress(done=1)),
        (Progress, {"done": 1}),
        (Progress, {"done": "1", "total": "10"}),
        (ProgressData, ProgressData(done=1)),
        (ProgressData, {"done": 1}),
        (ProgressDict, {"done": 1, "total": 10}),
        (dict[str, int], {"done": 1, "total": 10}),
        (Progress | None, Progress(done=1)),
    ],
)
def test_a_declared_payload_is_sent_as_json(kind: Any, data: Any) -> None:
    event = made(kind, data)
    assert event.data == {"done": 1, "total": 10}
    assert event.json == '{"done": 1, "total": 10}'
    assert all(encode(event, mode).is_json for mode in MODES)


def test_a_declared_str_is_sent_bare() -> None:
    event = made(str, '{"a": 1}')
    assert (event.data, event.json) == ('{"a": 1}', None)
    assert not any(encode(event, mode).is_json for mode in MODES)


def test_an_optional_or_annotated_str_is_sent_as_json() -> None:
    for event in (made(str | None, "a"), made(Annotated[str, Field(max_length=3)], "a")):
        assert (event.data, event.json) == ("a", '"a"')
        assert [encode(event, mode).data for mode in MODES] == ['"a"', '"a"']


class Alias(BaseModel):
    line: int = Field(serialization_alias="lineNumber")


@dataclass
class AliasData:
    line: Annotated[int, Field(serialization_alias="lineNumber")]


class AliasDict(typing_extensions.TypedDict):
    line: Annotated[int, Field(serialization_alias="lineNumber")]


class AliasOfBoth(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    line: int = Field(alias="lineNumber")


@pytest.mark.parametrize(
    "kind", [Alias, AliasData, AliasDict, AliasOfBoth, RootModel[Alias], list[Alias]]
)
def test_a_payload_is_serialised_as_documented(kind: Any) -> None:
    item = made(kind, [{"line": 1}] if kind == list[Alias] else {"line": 1}).data
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    if kind == list[Alias]:
        [item], schema = item, schema["$defs"]["Alias"]
    properties = schema.get("properties") or schema["$defs"]["Alias"]["properties"]
    assert item == {"lineNumber": 1}
    assert list(properties) == ["lineNumber"]


@pytest.mark.parametrize("kind", [Progress, ProgressData, ProgressDict])
def test_undeclared_keys_are_not_sent(kind: Any) -> None:
    event = made(kind, {"done": 1, "total": 2, "more": "than this"})
    assert event.data == {"done": 1, "total": 2}


def test_fields_that_a_subclass_adds_are_not_sent() -> None:
    class More(Progress):
        more: str

    assert made(Progress, More(done=1, more="than this")).data == {"done": 1, "total": 10}


def test_a_payload_can_have_types_that_json_lacks() -> None:
    class Visit(BaseModel):
        day: date

        @computed_field  # type: ignore[prop-decorator]
        @property
        def year(self) -> int:
            return self.day.year

    assert made(Visit, {"day": date(2026, 1, 2)}).data == {"day": "2026-01-02", "year": 2026}
    assert made(UUID, UUID(int=1)) == json_event("mine", str(UUID(int=1)))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Progress, {"done": "many"}),
        (Progress, {}),
        (Progress, "done"),
        (Progress, '{"done": 1}'),
        (Progress, AliasOfBoth(line=1)),
        (ProgressData, {"total": 1}),
        (ProgressDict, {"total": 1}),
        (str, 1),
        (str, {"a": 1}),
        (str, None),
        (list[int], ["a"]),
        (Annotated[int, Field(ge=1)], 0),
        (float, float("nan")),
    ],
)
def test_a_payload_of_the_wrong_type_is_refused(kind: Any, data: Any) -> None:
    with pytest.raises(ValueError, match=r"validation error for|not JSON compliant"):
        made(kind, data)


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (AskingTokens, "aksing"),
        (NoneAtAll, "mine"),
        (SilentBelow, "mine"),
        (SilentAndAsking, "mine"),
    ],
)
def test_an_undeclared_event_is_a_configuration_error(handler: Any, name: str) -> None:
    why = f"^{handler.__name__} sends '{name}', which its `events` do not name; the API docs are"
    with pytest.raises(ConfigurationError, match=why):
        DeclaredEvents(handler).make(name, "text")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("handler", [AskingTokens, NoneAtAll, Silent])
def test_built_in_events_need_no_declaration(handler: Any, name: str) -> None:
    declared = DeclaredEvents(handler)
    assert declared.make(name, "text").data == "text"
    assert declared.make(name, {"any": "thing"}).data == {"any": "thing"}
    assert declared.make(name, RetractData(tokens=1)).data == {"tokens": 1}


@pytest.mark.parametrize("handler", [AskingTokens, NoneAtAll, Silent, StreamingCallbackHandler])
@pytest.mark.parametrize("data", A_TOKEN)
def test_a_token_given_as_text_dict_or_model_is_the_same_event(handler: Any, data: Any) -> None:
    event = DeclaredEvents(handler).make("completion", data)
    assert event == Event("completion", "x")
    assert [encode(event, mode).data for mode in MODES] == ["x", '{"token": "x"}']


@pytest.mark.parametrize("name", ["", "two\nlines"])
def test_an_invalid_event_name_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match="one line of text"):
        DeclaredEvents(Silent).make(name, "text")


def test_a_declared_text_can_have_a_lone_surrogate() -> None:
    assert made(str, "\ud83d").data == "\ud83d"
    event = made(dict[str, str], {"a": "\ud83d"})
    assert (event.data, event.json) == ({"a": "\ud83d"}, '{"a": "\\ud83d"}')


# -- types that cannot be described --------------------------------------------------------


class Indescribable:
    pass


class OldDict(typing.TypedDict):
    done: int


@pytest.mark.parametrize("kind", [Indescribable, list[Indescribable]])
def test_a_payload_type_without_a_schema_is_refused_at_decoration(kind: Any) -> None:
    own = handler_of({"mine": kind})
    why = "^Own: the type of the event 'mine' cannot be described: "
    with pytest.raises(ConfigurationError, match=why):
        stream_chain(handlers=(own, WebSocketCallbackHandler))
    with pytest.raises(ConfigurationError, match=why):
        stream_chain(handlers=(StreamingCallbackHandler, own))


def test_a_handler_cannot_declare_ping() -> None:
    own = handler_of({"ping": int})
    with pytest.raises(ConfigurationError, match=r"^Own: the event 'ping' is "):
        stream_chain(handlers=(own, WebSocketCallbackHandler))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Pydantic takes it from then on")
def test_a_typed_dict_that_pydantic_refuses_is_refused_at_decoration() -> None:
    with pytest.raises(ConfigurationError, match=r"use `typing_extensions.TypedDict` instead"):
        stream_chain(handlers=(handler_of({"mine": OldDict}), WebSocketCallbackHandler))


def test_a_payload_type_can_have_any_annotated_metadata() -> None:
    event = made(Annotated[int, {"unit": "s"}], 1)
    assert (event.data, event.json) == (1, "1")


# -- through a handler ---------------------------------------------------------------------


async def received(stream: EventStream) -> list[Event]:
    stream.finish()
    return [event async for batch in stream.batches() for event in batch]


async def test_a_handler_sends_its_declared_events_to_its_stream() -> None:
    stream = EventStream()
    stream.open()
    handler = AskingTokens(stream)
    await handler.send("asking", {"done": 1, "more": "than this"})
    await handler.send("asked", "text")
    assert await received(stream) == [
        Event("asking", {"done": 1, "total": 10}),
        Event("asked", "text"),
    ]


@pytest.mark.parametrize("data", A_TOKEN)
async def test_a_completion_sent_by_name_is_a_token(data: Any) -> None:
    stream = EventStream()
    stream.open()
    await StreamingCallbackHandler(stream).send("completion", data)
    assert stream.tokens == 1
    assert await received(stream) == [completion("x")] == [Event("completion", "x")]


async def test_a_refused_event_is_not_sent() -> None:
    stream = EventStream()
    stream.open()
    handler = AskingTokens(stream)
    with pytest.raises(ValueError, match="done"):
        await handler.send("asking", {})
    with pytest.raises(ConfigurationError, match="AskingTokens sends 'answered'"):
        await handler.send("answered", "text")
    assert await received(stream) == []


async def test_events_declared_by_a_mixin_apply_to_both_transports() -> None:
    class OnWebSocket(Asks, WebSocketCallbackHandler):
        pass

    sink = Recorder()
    await OnWebSocket(sink).send("asked", "text")
    with pytest.raises(ConfigurationError, match="OnWebSocket sends 'answered'"):
        await OnWebSocket(sink).send("answered", "text")
    assert sink.events == [Event("asked", "text")]


async def test_built_in_events_pass_a_handler_that_declares_others() -> None:
    sink = Recorder()
    handler = AskingTokens(sink)
    await handler.send("retract", RetractData(tokens=1))
    document = SourceDocument(page_content="a", metadata={}, id=None, type="Document")
    await handler.send("source_documents", SourceDocumentsData(source_documents=[document]))
    assert [event.name for event in sink.events] == ["retract", "source_documents"]
