"""What is known of a chain's answer without running it: its type, and whether it may retrieve."""

import sys
import typing
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
from typing import Annotated, Any

import jsonschema
import pytest
import typing_extensions
from langchain.agents import create_agent
from langchain_classic.chains import (
    ConversationChain,
    MapReduceDocumentsChain,
    ReduceDocumentsChain,
    RetrievalQA,
    SequentialChain,
    StuffDocumentsChain,
)
from langchain_classic.output_parsers import BooleanOutputParser
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage
from langchain_core.output_parsers import (
    CommaSeparatedListOutputParser,
    JsonOutputParser,
    PydanticOutputParser,
    StrOutputParser,
)
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    Runnable,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableSequence,
    RunnableSerializable,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langgraph.func import entrypoint
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, computed_field

from quart_lanarky.adapters.langchain.kinds.chain_outputs import answer_type, may_retrieve
from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from quart_lanarky.runs.stream import EventStream
from tests.adapters.chains import (
    LCEL,
    MODEL,
    PROMPT,
    NoRetriever,
    agent,
    graph,
    llm_chain,
    qa,
)
from tests.adapters.chains import look as tool
from tests.runs.reading import events_of

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)

RETRIEVER = NoRetriever()


class Plan(BaseModel):
    city: str
    days: int = 3


PLANS = PydanticOutputParser(pydantic_object=Plan)


class OtherPlan(BaseModel):
    city: str


class OldPlan(typing.TypedDict):  # the standard library's, which Pydantic refuses before 3.12
    city: str


class NewPlan(typing_extensions.TypedDict):
    city: str


class Said(typing_extensions.TypedDict):
    reply: AIMessage


class Answered(BaseModel):
    answer: Any


class AnsweredDict(typing_extensions.TypedDict):
    answer: str


@dataclass
class PlanData:
    city: str


class City(Enum):
    BERN = "Bern"


class Word(str):
    __slots__ = ()


def returning(kind: Any, value: Any = None) -> Runnable[Any, Any]:
    """Return a function, as a chain, that is annotated to return `kind`."""

    def function(question: Any) -> Any:
        return value

    function.__annotations__["return"] = kind
    return RunnableLambda(function)


def unsaid(question: Any):  # type: ignore[no-untyped-def]  # noqa: ANN201
    raise NotImplementedError


def in_quotes(question: Any) -> "str":
    raise NotImplementedError


def of_nowhere(question: Any) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
    raise NotImplementedError


async def awaited(question: Any) -> Plan:
    raise NotImplementedError


def yielding(question: Any) -> Iterator[str]:
    yield "a"


async def yielding_async(question: Any) -> AsyncIterator[str]:
    yield "a"


async def shouting(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield chunk.upper()


async def run(chain: Any, inputs: Any) -> tuple[Any, list[str]]:
    """Return the answer in a JSON document, and the names of the events."""
    plan = plan_chain(chain)
    stream = EventStream()
    handlers = [handler(stream) for handler in plan.handlers]
    done = ChainRun(plan, inputs, handlers, stream)
    names = [event.name for event in await events_of(done)]
    return done.output(), names


# -- the type of the answer ----------------------------------------------------------------


@pytest.mark.parametrize(
    "chain",
    [
        MODEL,
        FakeListLLM(responses=["hi"]),
        MODEL.bind(stop=["x"]),
        MODEL.with_config(tags=["x"]).with_retry(),
        LCEL,
        LCEL | StrOutputParser(),
        RunnablePassthrough() | LCEL,
        RunnableParallel(question=LCEL | StrOutputParser()) | LCEL,
        LCEL.with_listeners().bind().with_config(run_name="x"),
        LCEL.with_types(input_type=NewPlan),
        LCEL.with_fallbacks([MODEL, LCEL | StrOutputParser()]),
        RunnableBranch((bool, LCEL), (bool, returning(AIMessage)), MODEL),
    ],
)
def test_what_models_say_is_a_text(chain: Any) -> None:
    assert answer_type(chain) is str


@pytest.mark.parametrize(
    ("parser", "kind"),
    [
        (StrOutputParser(), str),
        (PLANS, Plan),
        (BooleanOutputParser(), bool),
        (JsonOutputParser(), Any),
        (JsonOutputParser(pydantic_object=Plan), Any),  # it may lack fields while it comes
        (CommaSeparatedListOutputParser(), Any),
    ],
)
def test_a_parser_decides_about_the_answer(parser: Any, kind: Any) -> None:
    assert answer_type(parser) is kind
    assert answer_type(LCEL | parser) is kind
    assert answer_type((PROMPT | (MODEL | parser.with_config(run_name="x"))).with_retry()) is kind


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (str, str),
        (Word, str),
        (Annotated[str, "a word"], str),
        (AIMessage, str),
        (BaseMessage, str),
        (AnyMessage, str),
        (str | AIMessage, str),
        (typing.Union[str, BaseMessage], str),  # noqa: UP007  # as people still write it
        (int, int),
        (float, float),
        (bool, bool),
        (Plan, Plan),
        (RootModel[list[int]], RootModel[list[int]]),
        (NewPlan, NewPlan),
        (OldPlan, OldPlan if sys.version_info >= (3, 12) else Any),
        (str | None, Any),
        (list[AIMessage], Any),
        (list[str], Any),
        (dict[str, str], Any),
        (dict, Any),
        (PlanData, Any),
        (City, Any),
        (Any, Any),
        (Runnable[Any, str], Any),
        (RunnableSequence, Any),  # a Pydantic model for LangChain, but not the answer
        (RunnableSerializable[Any, str], Any),
    ],
)
def test_a_function_answers_as_it_is_annotated(kind: Any, known: Any) -> None:
    assert answer_type(returning(kind)) is known
    assert answer_type(LCEL | returning(kind)) is known
    assert answer_type(LCEL.with_types(output_type=kind)) is known


@pytest.mark.parametrize(
    ("function", "known"),
    [
        (unsaid, Any),
        (lambda question: question, Any),
        (len, Any),
        (itemgetter("a"), Any),
        (returning(None).func, Any),
        (returning("not a type").func, Any),
        (returning(7).func, Any),
        (of_nowhere, Any),
        (in_quotes, str),
        (awaited, Plan),
        (yielding, str),
        (yielding_async, str),
    ],
)
def test_a_function_may_have_any_form(function: Any, known: Any) -> None:
    assert answer_type(RunnableLambda(function)) is known


def test_what_a_function_is_declared_to_return_counts_more_than_its_annotation() -> None:
    assert answer_type(returning(int).with_types(output_type=str)) is str
    assert answer_type(RunnableLambda(len).with_types(output_type=int)) is int
    declared = RunnableLambda(len).with_types(output_type=int).with_config(tags=["x"]).bind()
    assert answer_type(declared) is int


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ([MODEL, LCEL, returning(AIMessage)], str),
        ([returning(Plan), LCEL | PLANS], Plan),
        ([returning(Plan), returning(OtherPlan)], Any),
        ([MODEL, returning(int)], Any),
        ([MODEL, RunnableLambda(len)], Any),
        ([RunnableLambda(len), MODEL], Any),
        ([MODEL, graph("one")], Any),
    ],
)
def test_of_several_chains_all_must_agree(options: list[Any], known: Any) -> None:
    first, *others = options
    assert answer_type(first.with_fallbacks(others)) is known
    assert answer_type(RunnableBranch(*((bool, other) for other in others), first)) is known


@pytest.mark.parametrize(
    ("build", "known"),
    [
        (llm_chain, str),
        (lambda: llm_chain(output_key="reply"), str),
        (lambda: llm_chain(output_parser=PLANS), Plan),
        (lambda: llm_chain(output_parser=CommaSeparatedListOutputParser()), Any),
        (lambda: llm_chain().with_config(tags=["x"]), str),
        (lambda: ConversationChain(llm=MODEL), str),
        (qa, str),
        (lambda: qa(return_source_documents=True, output_key="text"), str),
        (lambda: qa(chain_type="refine"), Any),
        (lambda: SequentialChain(chains=[llm_chain()], input_variables=["question"]), Any),
        (agent, Any),
    ],
)
def test_a_classic_chain_answers_as_its_parser_does(build: Any, known: Any) -> None:
    assert answer_type(build()) is known


def test_the_parser_that_maps_does_not_decide_about_what_is_reduced() -> None:
    document = PromptTemplate.from_template("{page_content}")
    lists = StuffDocumentsChain(
        llm_chain=llm_chain(output_parser=CommaSeparatedListOutputParser()),
        document_prompt=document,
        document_variable_name="question",
    )
    chain = MapReduceDocumentsChain(
        llm_chain=llm_chain(),
        reduce_documents_chain=ReduceDocumentsChain(combine_documents_chain=lists),
        document_variable_name="question",
    )
    assert answer_type(RetrievalQA(combine_documents_chain=lists, retriever=RETRIEVER)) is Any
    assert answer_type(RetrievalQA(combine_documents_chain=chain, retriever=RETRIEVER)) is Any


@pytest.mark.parametrize(
    "chain",
    [
        graph("one"),
        create_agent(MODEL),
        create_agent(MODEL, response_format=Plan).with_config(tags=["x"]),
        LCEL | graph("one"),
        RETRIEVER,
        tool,
        LCEL.map(),
        RunnableParallel(a=LCEL),
        RunnablePassthrough.assign(a=LCEL),
        RunnablePassthrough.assign(a=LCEL).pick("a"),
        RunnablePick("a"),
        RunnablePassthrough(),
        RouterRunnable({"a": LCEL}),
        RunnableGenerator(shouting),
        MODEL.configurable_fields(responses=ConfigurableField("responses")),
        ChatPromptTemplate.from_template("{a}"),
    ],
)
def test_of_all_else_nothing_is_known(chain: Any) -> None:
    assert answer_type(chain) is Any


class Failing(Runnable[Any, Any]):
    """A chain that fails whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise RuntimeError(name)

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        raise NotImplementedError


class Unspeakable(StrOutputParser):
    @property
    def OutputType(self) -> Any:  # noqa: N802  # LangChain's name
        raise RuntimeError("no type")


def endless() -> Any:
    """Return a chain that has itself as its own step."""
    chain = LCEL | StrOutputParser()
    object.__setattr__(chain, "last", chain)
    return chain


@pytest.mark.parametrize(
    "chain", [None, "chain", 7, len, object(), Plan, Failing(), Unspeakable(), endless()]
)
def test_nothing_is_known_of_what_cannot_be_read(chain: Any) -> None:
    assert answer_type(chain) is Any


# -- the type is that of the JSON answer ---------------------------------------------------


class Tree(BaseModel):
    name: str
    trees: list["Tree"] = []


class TreeDict(typing_extensions.TypedDict):
    name: str
    trees: list["TreeDict"]


class Detailed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    line: int = Field(serialization_alias="lineNumber")
    city: City = City.BERN
    visited: set[int] = {1}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def next(self) -> int:
        return self.line + 1


DETAILED = {"line": 1, "city": City.BERN, "visited": {1}}


class DetailedDict(typing_extensions.TypedDict):
    line: int
    city: City
    visited: set[int]


@pytest.mark.parametrize(
    ("chain", "known"),
    [
        (returning(Detailed, Detailed(line=1)), Detailed),
        (returning(DetailedDict, DETAILED), DetailedDict),
        (returning(RootModel[list[int]], RootModel[list[int]]([1])), RootModel[list[int]]),
        (returning(Tree, Tree(name="a", trees=[Tree(name="b")])), Tree),
        (returning(TreeDict, {"name": "a", "trees": [{"name": "b", "trees": []}]}), TreeDict),
        (returning(AIMessage, AIMessage("hi")), str),
        (returning(AIMessage, AIMessage([{"type": "text", "text": "hi"}])), str),
        (returning(float, 1), float),
        (RunnableLambda(yielding), str),
        (qa(), str),
        (LCEL.with_fallbacks([qa()]), str),
        (PROMPT | FakeListChatModel(responses=['{"city": "Bern"}']) | PLANS, Plan),
    ],
)
async def test_the_answer_is_of_the_type_that_is_told(chain: Any, known: Any) -> None:
    assert answer_type(chain) is known
    answer, _ = await run(chain, {"question": "?", "query": "?"})
    jsonschema.validate(answer, TypeAdapter(known).json_schema(mode="serialization"))


@pytest.mark.parametrize(
    ("chain", "answer"),
    [
        (RunnablePassthrough.assign(answer=LCEL).with_types(output_type=Answered), "hi"),
        (RunnablePassthrough.assign(answer=LCEL).with_types(output_type=AnsweredDict), "hi"),
        (qa(output_key="answer").with_types(output_type=Answered), "hi"),
        (qa(output_key="answer").with_types(output_type=AnsweredDict), "hi"),
        (create_agent(MODEL).with_types(output_type=Answered), "hi"),
        (returning(Said, {"reply": AIMessage("hi")}), {"reply": "hi"}),
    ],
)
async def test_the_type_of_a_whole_output_is_not_that_of_the_answer_in_it(
    chain: Any, answer: Any
) -> None:
    inputs = {"question": "?", "query": "?", "messages": "?"}
    assert (await run(chain, inputs))[0] == answer
    schema = TypeAdapter(answer_type(chain)).json_schema(mode="serialization")
    jsonschema.validate(answer, schema)


# -- whether it may retrieve ---------------------------------------------------------------


def nested(chain: Any) -> Any:
    """Return a chain that has another one deep inside."""
    inner = RunnableParallel(a=RunnablePassthrough.assign(b=PROMPT | MODEL | chain))
    return (PROMPT | inner.with_config(tags=["x"])).with_fallbacks([LCEL.map()]).bind()


@pytest.mark.parametrize(
    "chain",
    [
        MODEL,
        PROMPT,
        StrOutputParser(),
        LCEL,
        LCEL | JsonOutputParser(),
        LCEL.with_config(tags=["x"]).with_retry().bind(stop=["x"]).with_listeners(),
        LCEL.with_types(output_type=str),
        LCEL.with_fallbacks([MODEL, LCEL | StrOutputParser()]),
        LCEL.map(),
        RunnableBranch((LCEL | BooleanOutputParser(), LCEL), MODEL),
        RunnablePassthrough(),
        RunnablePassthrough.assign(a=LCEL, b=MODEL).pick("a"),
        RunnableParallel(a=LCEL, b=RunnablePassthrough()) | RunnablePick(["a"]) | LCEL,
        nested(StrOutputParser()),
    ],
)
def test_what_can_be_seen_to_have_no_retriever_does_not_retrieve(chain: Any) -> None:
    assert may_retrieve(chain) is False


def remember(question: Any) -> None:
    NoRetriever().invoke("?")


async def remember_async(question: Any) -> None:
    await NoRetriever().ainvoke("?")


@entrypoint()
async def flow(question: str) -> str:
    raise NotImplementedError


OPAQUE = [
    RETRIEVER,
    RETRIEVER.with_config(tags=["x"]),
    RunnableLambda(len),
    RunnablePassthrough(remember),
    RunnablePassthrough(remember_async),
    RunnablePassthrough(afunc=remember_async),
    RunnableGenerator(shouting),
    RouterRunnable({"a": LCEL}),
    LCEL.configurable_alternatives(ConfigurableField("chain"), other=RETRIEVER),
    graph("one"),
    create_agent(MODEL, [tool]),
    tool,
    agent(),
    qa(),
    flow,
    Failing(),
    len,
    None,
]


@pytest.mark.parametrize("chain", OPAQUE)
def test_what_cannot_be_seen_into_may_retrieve(chain: Any) -> None:
    assert may_retrieve(chain) is True


@pytest.mark.parametrize("chain", [RETRIEVER, RunnableLambda(len), graph("one"), tool])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda chain: PROMPT | MODEL | chain,
        lambda chain: chain | PROMPT | MODEL,
        lambda chain: RunnableParallel(a=LCEL, b=chain),
        lambda chain: RunnablePassthrough.assign(a=LCEL, b=chain),
        lambda chain: RunnablePassthrough.assign(a=LCEL | chain).pick("a"),
        lambda chain: RunnableBranch((chain, LCEL), LCEL),
        lambda chain: RunnableBranch((MODEL, chain), LCEL),
        lambda chain: RunnableBranch((MODEL, LCEL), chain),
        lambda chain: LCEL.with_fallbacks([LCEL, RunnableParallel(a=chain)]),
        lambda chain: RunnableParallel(a=chain).with_fallbacks([LCEL]),
        lambda chain: RunnableParallel(a=chain).map(),
        lambda chain: RunnableParallel(a=chain).with_retry().with_config(tags=["x"]),
        nested,
    ],
)
def test_a_chain_may_retrieve_if_anything_in_it_may(wrap: Any, chain: Any) -> None:
    assert may_retrieve(wrap(chain)) is True


@pytest.mark.parametrize(
    "build", [llm_chain, lambda: RunnableWithMessageHistory(LCEL, InMemoryChatMessageHistory)]
)
def test_what_is_deprecated_is_not_seen_into(build: Any) -> None:
    assert may_retrieve(build()) is True


@pytest.mark.parametrize("look_up", [remember, remember_async])
async def test_what_is_called_in_passing_may_retrieve(look_up: Any) -> None:
    chain = RunnablePassthrough(look_up) | LCEL
    _, names = await run(chain, {"question": "?"})
    assert "source_documents" in names
    assert may_retrieve(chain) is True
