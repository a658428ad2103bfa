"""The description of a chain route, and when its factory is called for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, Field, RootModel
from quart import Quart, Response
from typing_extensions import TypedDict

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.callbacks import (
    SourceDocumentStreamingCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.adapters.langchain.inputs.parameters import factory_parameters
from quart_lanarky.adapters.langchain.service.describe import ChainDescriber
from quart_lanarky.adapters.langchain.service.options import RouteOptions
from quart_lanarky.errors import ChainTypeError, ConfigurationError
from quart_lanarky.events import CompletionData, InterruptData, RetractData, SourceDocumentsData
from quart_lanarky.protocols.base import RouteDescription
from quart_lanarky.protocols.json_schema import Components
from quart_lanarky.transports.route_description import chain_rules, route_of
from tests.adapters.chains import LCEL, MODEL, agent, graph, qa

if TYPE_CHECKING:
    from nowhere import Imaginary

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)

TOKENS = {"completion": CompletionData, "retract": RetractData}
ALL = {**TOKENS, "source_documents": SourceDocumentsData}
WAITING = {"interrupt": InterruptData}
"""A chain that is not known may wait for a person; one that is known has to be a graph."""


class Question(BaseModel):
    question: str = Field(min_length=2)
    top: int = 3


@dataclass
class QuestionData:
    question: str
    top: int = 3


class QuestionDict(TypedDict):
    question: str


class Answer(BaseModel):
    text: str


def describer(factory: Any, name: str = "chat", **options: Any) -> ChainDescriber:
    return ChainDescriber(factory, factory_parameters(factory), RouteOptions(**options), name)


def described(
    factory: Any, chain: Any, *, over_websocket: bool = False, **options: Any
) -> RouteDescription:
    return describer(factory, **options).describe(chain, over_websocket=over_websocket)


def of_chain(chain: Any, *, over_websocket: bool = False, **options: Any) -> RouteDescription:
    """Return the description of a route whose unannotated factory returns this chain."""
    return described(lambda: chain, chain, over_websocket=over_websocket, **options)


def inputs(description: RouteDescription) -> dict[str, Any]:
    schema: dict[str, Any] = description.body.json_schema()
    return schema.get("properties", {})


# -- its name ------------------------------------------------------------------------------


def chat() -> Any:
    return LCEL


def logged(factory: Any) -> Any:
    @wraps(factory)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return factory(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("factory", "label"),
    [
        (chat, "chat"),
        (logged(chat), "chat"),
        (lambda: LCEL, "chain"),
        (partial(chat), "chain"),
    ],
)
def test_a_decorated_factory_gives_the_route_its_name(factory: Any, label: str) -> None:
    route = route_of(stream_chain(factory))
    assert route is not None
    assert route.label == label


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        ("/qa", "qa"),
        ("/qa/ask-me/", "qa_ask_me"),
        ("/<int:k>/qa", "int_k_qa"),
        ("/2", "chain_2"),
        ("/2-fast", "chain_2_fast"),
        ("/", "root"),
    ],
)
@pytest.mark.parametrize("chain", [LCEL, lambda k=1: LCEL])
def test_a_rule_gives_the_route_of_add_chain_its_name(rule: str, label: str, chain: Any) -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain(rule, (lambda k: LCEL) if "<" in rule else chain)
    assert {served.route.label for served in chain_rules(app)} == {label}
    assert label.isidentifier()


def test_a_view_that_serves_no_chain_has_no_route() -> None:
    assert route_of(lambda: Response("hi")) is None


# -- whether its factory is called ---------------------------------------------------------


class Calls:
    """Counts the calls of a factory, and their cleanups."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0

    def __call__(self) -> Any:
        self.made += 1
        return LCEL


async def inspect_chain(factory: Any, **options: Any) -> Any:
    async with Quart(__name__).app_context():
        return await describer(factory, **options).inspect_chain()


async def test_a_factory_is_called_once_if_nothing_else_declares_its_input() -> None:
    calls = Calls()
    assert await inspect_chain(calls) is LCEL
    assert calls.made == 1


async def test_a_factory_is_not_called_if_an_input_model_is_given() -> None:
    calls = Calls()
    assert await inspect_chain(calls, input_model=Question) is None
    assert calls.made == 0


def forbidden() -> Any:
    raise AssertionError("it need not be called")


def of_question() -> Runnable[Question, str]:
    return forbidden()


async def of_question_async() -> Runnable[Question, Any]:
    return forbidden()


def yielding_question() -> Iterator[Runnable[Question, str]]:
    yield forbidden()


async def yielding_question_async() -> AsyncIterator[Runnable[Question, str]]:
    yield forbidden()


def of_data() -> Runnable[QuestionData, str]:
    return forbidden()


def of_function() -> RunnableLambda[Question, str]:
    return forbidden()


def evaluated() -> Any:
    return forbidden()


evaluated.__annotations__["return"] = Runnable[Question, str]


@pytest.mark.parametrize(
    "factory",
    [
        of_question,
        of_question_async,
        yielding_question,
        yielding_question_async,
        contextmanager(yielding_question),
        asynccontextmanager(yielding_question_async),
        logged(of_question),
        partial(of_question),
        of_data,
        of_function,
        evaluated,
    ],
)
async def test_a_factory_is_not_called_if_its_annotation_declares_the_input(
    factory: Any,
) -> None:
    assert await inspect_chain(factory) is None


def of_any() -> Runnable[Any, str]:
    return LCEL


def of_dict() -> Runnable[dict[str, Any], str]:
    return LCEL


def of_typed_dict() -> Runnable[QuestionDict, str]:
    return LCEL


def of_bare_runnable() -> Runnable:  # type: ignore[type-arg]
    return LCEL


def of_nowhere() -> Runnable[Imaginary, str]:
    return LCEL


def of_message() -> Runnable[HumanMessage, str]:
    return LCEL  # type: ignore[return-value]


def of_something_else() -> dict[Question, str]:
    return LCEL  # type: ignore[return-value]


@pytest.mark.parametrize(
    "factory",
    [
        *(chat, of_any, of_dict, of_typed_dict, of_bare_runnable),
        *(of_nowhere, of_message, of_something_else),
    ],
)
async def test_a_factory_is_called_if_its_annotation_is_incomplete(factory: Any) -> None:
    assert await inspect_chain(factory) is LCEL


async def test_a_factory_with_required_parameters_is_not_called() -> None:
    def of_user(user: str, k: int = 3) -> Any:
        raise AssertionError("nobody is there")

    with pytest.raises(ConfigurationError, match="only a request can give its factory user"):
        await inspect_chain(of_user)


async def test_a_factory_is_called_with_its_defaults() -> None:
    def of_defaults(k: int = 3, *, user: str = "ann") -> Any:
        return LCEL.with_config(tags=[f"{user} {k}"])

    assert (await inspect_chain(of_defaults)).config["tags"] == ["ann 3"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_factory_that_yields_runs_its_cleanup(is_async: bool) -> None:
    calls = Calls()

    def yielding() -> Iterator[Any]:
        yield calls()
        calls.closed += 1

    async def yielding_async() -> AsyncIterator[Any]:
        yield calls()
        calls.closed += 1

    assert await inspect_chain(yielding_async if is_async else yielding) is LCEL
    assert (calls.made, calls.closed) == (1, 1)


async def test_an_async_factory_is_awaited() -> None:
    async def of_chain_async() -> Any:
        return LCEL

    assert await inspect_chain(of_chain_async) is LCEL
    assert await inspect_chain(lambda k=1: of_chain_async()) is LCEL


async def test_an_exception_of_a_factory_is_raised() -> None:
    def without_key() -> Any:
        raise KeyError("API_KEY")

    with pytest.raises(KeyError, match="API_KEY"):
        await inspect_chain(without_key)
    with pytest.raises(ChainTypeError, match="gave NoneType"):
        await inspect_chain(lambda: None)


# -- its inputs ----------------------------------------------------------------------------


def test_the_inputs_of_a_chain_are_described() -> None:
    description = of_chain(LCEL)
    kinds = [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]
    assert inputs(description) == {"question": {"title": "Question", "anyOf": kinds}}
    assert description.text_input == "question"
    assert not description.takes_other_inputs
    assert description.notes == ()


@pytest.mark.parametrize("factory", [of_question, of_question_async, yielding_question])
@pytest.mark.parametrize("chain", [None, LCEL, RunnableLambda(len)])
def test_the_inputs_that_a_factory_declares_are_described(factory: Any, chain: Any) -> None:
    description = described(factory, chain)
    assert description.body.json_schema() == Question.model_json_schema()
    assert description.text_input == "question"
    assert not description.takes_other_inputs
    assert description.notes == ()


@pytest.mark.parametrize("chain", [None, LCEL])
def test_an_input_model_takes_precedence_over_an_annotation(chain: Any) -> None:
    class Own(BaseModel):
        a: int
        b: int

    description = described(of_question, chain, input_model=Own)
    assert list(inputs(description)) == ["a", "b"]
    assert description.text_input is None


def test_an_unknown_chain_is_described_as_taking_any_object() -> None:
    description = of_chain(None)
    assert inputs(description) == {}
    assert description.takes_other_inputs
    assert description.text_input is None
    assert description.notes == (
        "What its inputs are called could not be seen when these API docs were made.",
    )


def test_what_a_route_accepts_besides_text_is_said() -> None:
    [note] = of_chain(RunnableLambda(of_mapping), accept=("files", "system")).notes
    assert note.startswith("The inputs may also have messages with the roles `system` and `dev")
    assert note.endswith("`developer`, files in content blocks.")


def of_mapping(given: dict[str, int]) -> str:
    raise NotImplementedError


def test_a_chain_that_declares_any_object_has_no_note_about_it() -> None:
    description = of_chain(RunnableLambda(of_mapping))
    assert description.takes_other_inputs
    assert description.body.json_schema()["additionalProperties"] == {"type": "integer"}
    assert description.notes == ()


def test_a_function_without_types_takes_any_inputs_or_one_value() -> None:
    description = of_chain(RunnableLambda(lambda given: given))
    assert list(inputs(description)) == ["input"]
    assert description.text_input == "input"
    assert description.takes_other_inputs


def test_a_chain_with_a_function_in_it_names_its_inputs_and_takes_others() -> None:
    description = of_chain(RunnablePassthrough.assign(context=lambda given: given) | LCEL)
    assert list(inputs(description)) == ["question"]
    assert description.text_input == "question"
    assert description.takes_other_inputs
    schema = description.input_schema(Components())
    assert schema["additionalProperties"] is True
    assert schema["required"] == ["question"]


def test_a_root_model_is_described_by_its_root_type() -> None:
    description = described(of_question, None, input_model=RootModel[Question])
    assert description.text_input == "question"


# -- its parameters ------------------------------------------------------------------------


class Size(Enum):
    SMALL = 1


def test_the_parameters_of_a_factory_are_described_with_their_defaults() -> None:
    def of_parameters(
        user: str,
        k: int = 3,
        size: Size = Size.SMALL,
        names: list[str] | None = None,
        limit: float = float("inf"),
        bounds: tuple[float, float] = (0.0, float("nan")),
        *,
        question: Question | None = None,
    ) -> Any:
        raise NotImplementedError

    description = described(of_parameters, LCEL)
    assert description.parameters.json_schema()["required"] == ["user"]
    assert description.defaults == {
        "k": 3,
        "size": 1,
        "names": None,
        "question": None,
    }
    assert list(inputs(description)) == ["question"]


def test_a_factory_without_parameters_has_no_defaults() -> None:
    description = of_chain(LCEL)
    assert description.defaults == {}
    assert description.parameters.json_schema()["properties"] == {}


# -- its events ----------------------------------------------------------------------------


@tool
def look(city: str) -> str:
    """Look out of the window."""
    raise NotImplementedError


@pytest.mark.parametrize(
    ("chain", "events"),
    [
        (LCEL, TOKENS),
        (LCEL.with_config(tags=["x"]), TOKENS),
        (RunnablePassthrough.assign(answer=LCEL), TOKENS),
        (qa(), ALL),
        (graph("one"), ALL),
        (agent(), ALL),
        (RunnableLambda(len) | LCEL, ALL),
        (look, ALL),
        (None, ALL | WAITING),
        (graph("one", checkpointer=InMemorySaver()), ALL | WAITING),
        (graph("one", checkpointer=InMemorySaver()).with_config(tags=["x"]), ALL | WAITING),
    ],
)
@pytest.mark.parametrize("over_websocket", [False, True])
def test_the_events_of_our_own_handlers_are_described(
    chain: Any, events: dict[str, Any], over_websocket: bool
) -> None:
    description = of_chain(chain, over_websocket=over_websocket)
    assert description.events == events
    assert not description.sends_other_events


def test_documents_in_the_inputs_may_be_sent_as_source_documents() -> None:
    class Given(BaseModel):
        question: str
        context: list[Document]

    chain = RunnablePassthrough.assign(answer=LCEL)
    assert of_chain(chain, input_model=Given).events == ALL


@pytest.mark.parametrize(
    ("chain", "over_websocket", "names"),
    [
        (LCEL, False, ("Token", "SourceDocument")),
        (graph("one"), False, ("FinalToken", "SourceDocument")),
        (LCEL, True, ("Token", "SourceDocument")),
        (graph("one"), True, ("FinalToken", "SourceDocument")),
        (None, False, ()),
    ],
)
def test_the_handlers_that_fit_a_chain_are_named(
    chain: Any, over_websocket: bool, names: tuple[str, ...]
) -> None:
    side = "WebSocketCallbackHandler" if over_websocket else "StreamingCallbackHandler"
    description = of_chain(chain, over_websocket=over_websocket)
    assert description.handlers == tuple(name + side for name in names)


class Notices:
    events: ClassVar[dict[str, Any]] = {"tool": Answer}


class OverHttp(Notices, TokenStreamingCallbackHandler):
    pass


class OverWebSocket(TokenWebSocketCallbackHandler):
    events: ClassVar[dict[str, Any]] = {"frame": str}


class Bare(StreamingCallbackHandler):
    events: ClassVar[dict[str, Any]] = {}


class Undeclared(SourceDocumentStreamingCallbackHandler):
    pass


@pytest.mark.parametrize("chain", [LCEL, qa(), None])
def test_a_custom_handler_pair_is_described_by_the_handler_of_the_transport(chain: Any) -> None:
    pair = (OverHttp, OverWebSocket)
    http = of_chain(chain, handlers=pair)
    websocket = of_chain(chain, handlers=pair, over_websocket=True)
    waiting = WAITING if chain is None else {}
    assert http.events == {**TOKENS, **waiting, "tool": Answer}
    assert websocket.events == {**TOKENS, **waiting, "frame": str}
    assert (http.handlers, websocket.handlers) == (("OverHttp",), ("OverWebSocket",))
    assert not http.sends_other_events
    assert not websocket.sends_other_events


def make_handler(*args: Any, **kwargs: Any) -> Any:
    return OverHttp(*args, **kwargs)


@pytest.mark.parametrize(
    ("handler", "events", "sends_others"),
    [
        (partial(OverHttp, hold=1), {**TOKENS, "tool": Answer}, False),
        (partial(partial(OverHttp, a=1), b=2), {**TOKENS, "tool": Answer}, False),
        (TokenStreamingCallbackHandler, TOKENS, False),
        (Bare, {}, False),
        (Undeclared, {"source_documents": SourceDocumentsData}, True),
        (partial(Undeclared, only_returned=True), {"source_documents": SourceDocumentsData}, True),
        (make_handler, {}, True),
        (lambda stream, mode: OverHttp(stream, mode=mode), {}, True),
        (partial(make_handler, a=1), {}, True),
    ],
)
@pytest.mark.parametrize("chain", [LCEL, None])
def test_a_custom_handler_is_described_by_its_declared_events(
    handler: Any, events: dict[str, Any], sends_others: bool, chain: Any
) -> None:
    description = of_chain(chain, handlers=(handler, WebSocketCallbackHandler))
    assert description.events == events | (WAITING if chain is None else {})
    assert description.sends_other_events is sends_others
    assert not of_chain(
        chain, handlers=(handler, WebSocketCallbackHandler), over_websocket=True
    ).sends_other_events


# -- its answer ----------------------------------------------------------------------------


def of_answer() -> Runnable[Any, Answer]:
    raise NotImplementedError


def of_text() -> Runnable[Question, str]:
    raise NotImplementedError


def of_list() -> Runnable[Question, list[str]]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("factory", "chain", "output"),
    [
        (chat, LCEL, str),
        (chat, RunnableLambda(len).with_types(output_type=Answer), Answer),
        (chat, RunnableLambda(len), Any),
        (chat, None, Any),
        (of_answer, None, Answer),
        (of_answer, RunnableLambda(len), Answer),
        (of_answer, MODEL, str),
        (of_text, None, str),
        (of_list, None, Any),
        (of_nowhere, None, Any),
        (of_nowhere, LCEL, str),
    ],
)
def test_the_answer_type_is_the_chains_or_else_that_of_the_annotation(
    factory: Any, chain: Any, output: Any
) -> None:
    assert described(factory, chain).output is output


class Tree(BaseModel):
    name: str
    trees: list[Tree] = []


def local_class() -> type[BaseModel]:
    """Return a class whose annotations only Pydantic can resolve."""

    class Leaf(BaseModel):
        name: str

    class Twig(BaseModel):
        leaf: Leaf

    return Twig


@pytest.mark.parametrize("kind", [Tree, local_class()])
@pytest.mark.parametrize("chain", [RunnableLambda(len), None])
def test_the_answer_type_may_refer_to_other_classes(kind: Any, chain: Any) -> None:
    def of_kind() -> Any:
        raise NotImplementedError

    of_kind.__annotations__["return"] = Runnable[Question, kind]
    assert described(of_kind, chain).output is kind


@pytest.mark.parametrize("chain", [LCEL, None])
def test_one_of_several_outputs_has_an_unknown_type(chain: Any) -> None:
    assert described(of_text, chain, output_key="answer").output is Any


class Whole(TypedDict):
    question: str
    answer: str


class WholeModel(BaseModel):
    question: str
    answer: str


def of_whole() -> Runnable[Question, Whole]:
    return RunnablePassthrough.assign(answer=LCEL)  # type: ignore[return-value]


def of_whole_model() -> Runnable[Question, WholeModel]:
    return RunnablePassthrough.assign(answer=LCEL)  # type: ignore[return-value]


@pytest.mark.parametrize("factory", [of_whole, of_whole_model])
def test_the_annotated_type_of_a_whole_output_is_not_taken_for_the_answers(factory: Any) -> None:
    """Here the output in the JSON response is the text under `answer`."""
    assert described(factory, factory()).output is Any
    assert described(of_whole, None).output is Any
