"""Which handlers fit which chain, which of its models speak, and where its answer is."""

from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from operator import itemgetter
from typing import Any, Literal

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import PIIMiddleware, SummarizationMiddleware, after_model
from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_classic.chains import (
    ConversationChain,
    LLMChain,
    ReduceDocumentsChain,
    RetrievalQA,
    SimpleSequentialChain,
    StuffDocumentsChain,
)
from langchain_classic.chains.router.base import MultiRouteChain, RouterChain
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.caches import InMemoryCache
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.outputs import GenerationChunk
from langchain_core.prompts import PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    Runnable,
    RunnableBinding,
    RunnableBranch,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from langgraph.func import entrypoint
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from quart_lanarky.adapters.langchain.callbacks import (
    PAIRS,
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.selection import (
    ANSWER_TAG,
    GRAPH_TAG,
    AnyOf,
    InNodes,
    Tagged,
    no_run,
)
from quart_lanarky.adapters.langchain.kinds.registry import check_chain, tag_answer_models
from quart_lanarky.adapters.langchain.service.options import RouteOptions
from quart_lanarky.adapters.langchain.service.plan import ChainPlan, plan_chain
from quart_lanarky.errors import ChainTypeError, ConfigurationError

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)

MODEL = FakeListChatModel(responses=["hi"])
PROMPT = PromptTemplate.from_template("{question}")
LCEL = PROMPT | MODEL


class RouterTo(RouterChain):
    """Routes nowhere."""

    @property
    def input_keys(self) -> list[str]:
        raise NotImplementedError

    def _call(self, inputs: dict[str, Any], run_manager: Any = None) -> dict[str, Any]:
        raise NotImplementedError


class NoRetriever(BaseRetriever):
    def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Any]:
        return []


def qa(**options: Any) -> Runnable[Any, Any]:
    return RetrievalQA.from_chain_type(MODEL, retriever=NoRetriever(), **options)


def agent(**options: Any) -> Runnable[Any, Any]:
    prompt = PromptTemplate.from_template("{tools}{tool_names}{input}{agent_scratchpad}")
    return AgentExecutor(agent=create_react_agent(MODEL, [], prompt), tools=[], **options)


class Calling(FakeListChatModel):
    """A model that can be told of tools."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=tools)


@tool
def look(city: str) -> str:
    """Look out of the window."""
    raise NotImplementedError


def graph(*nodes: Any) -> Any:
    """Make a graph of nodes in a row: by their names, or graphs."""
    builder = StateGraph(MessagesState)
    names = [node if isinstance(node, str) else "graph" for node in nodes]
    for name, node in zip(names, nodes, strict=True):
        builder.add_node(name, (lambda state: state) if isinstance(node, str) else node)
    for start, end in pairwise(["__start__", *names]):
        builder.add_edge(start, end)
    return builder.compile()


def classes(plan: ChainPlan) -> list[tuple[Any, Any]]:
    def bare(factory: Any) -> Any:
        return factory.func if isinstance(factory, partial) else factory

    return [PAIRS[bare(handler)] for handler in plan.handlers]


TOKENS = (TokenStreamingCallbackHandler, TokenWebSocketCallbackHandler)
DOCUMENTS = (SourceDocumentStreamingCallbackHandler, SourceDocumentWebSocketCallbackHandler)
FINAL = (FinalTokenStreamingCallbackHandler, FinalTokenWebSocketCallbackHandler)


@pytest.mark.parametrize(
    ("chain", "pair", "output_path"),
    [
        (LCEL, TOKENS, ()),
        (LCEL.with_config(run_name="AgentExecutor"), TOKENS, ()),
        (qa(), TOKENS, (("result",),)),
        (qa(return_source_documents=True, output_key="text"), TOKENS, (("text",),)),
        (qa().with_config(tags=["x"]), TOKENS, (("result",),)),
        (agent(), FINAL, (("output",),)),
        (agent(return_intermediate_steps=True).with_config(tags=["x"]), FINAL, (("output",),)),
        (graph("one"), FINAL, (("__interrupt__", "structured_response", "messages"),)),
        (RunnablePassthrough.assign(a=qa()), TOKENS, (("a",), ("result",))),
        (RunnableLambda(len), FINAL, ()),  # it may return an agent
    ],
)
def test_the_handlers_fit_the_chain(chain: Runnable[Any, Any], pair: Any, output_path: Any) -> None:
    plan = plan_chain(chain)
    assert classes(plan) == [pair, DOCUMENTS]
    assert plan.spec.output_path == output_path


@pytest.mark.parametrize(
    ("chain", "returned"), [(LCEL, False), (qa(), True), (agent(), True), (graph("one"), True)]
)
def test_an_agents_retrievals_are_its_own_affair(chain: Runnable[Any, Any], returned: bool) -> None:
    assert plan_chain(chain).spec.returns_documents is returned


def test_hold_tokens_reaches_the_handlers_of_agents() -> None:
    handler, _ = plan_chain(graph("one"), hold_tokens=7).handlers
    assert handler()._hold == 7  # type: ignore[attr-defined]


def test_a_final_tag_takes_the_place_of_all_marks() -> None:
    plan = plan_chain(LCEL, final_tag="mine")
    assert plan.chain is LCEL
    assert plan.spec.answer_runs == Tagged("mine")


# -- marking -------------------------------------------------------------------------------


def marked_models(chain: Any) -> int:
    """Count the marks in all that a chain is made of."""
    return repr(chain).count(ANSWER_TAG)


@pytest.mark.parametrize("chain", [LCEL, LCEL.with_retry(), qa(), agent()])
def test_the_users_chain_is_not_changed(chain: Runnable[Any, Any]) -> None:
    before = repr(chain)
    assert marked_models(plan_chain(chain).chain) == 1
    assert repr(chain) == before


def test_a_marked_chain_has_the_users_own_memory_and_model() -> None:
    memory = ConversationBufferMemory()
    marked = tag_answer_models(ConversationChain(llm=MODEL, memory=memory)).chain
    assert marked.memory is memory
    assert marked.llm.bound is MODEL


@pytest.mark.parametrize(
    ("chain", "marks"),
    [
        (LCEL | StrOutputParser().with_config(run_name="x"), 1),
        (LCEL | JsonOutputParser(), 0),
        (RunnableParallel(a=LCEL, b=LCEL), 0),
        (RunnablePassthrough.assign(a=LCEL), 1),
        (RunnablePassthrough.assign(a=LCEL, b=LCEL), 0),
        (RunnablePassthrough.assign(a=LCEL, b=LCEL).pick("b"), 1),
        (RunnablePassthrough.assign(a=LCEL).pick(["a"]), 0),
        (RunnableBranch((bool, LCEL), LCEL), 2),
        (RunnableBranch((bool, LCEL), qa()), 2),
        (RunnableBranch((bool, LCEL), agent()), 0),  # they are read in two manners
        (LCEL.with_fallbacks([graph("one")]), 1),  # besides the graph, which has a mark of its own
        (LCEL.with_fallbacks([LCEL, RunnableLambda(str)]), 2),
        (RouterRunnable({"a": LCEL, "b": LCEL}), 2),
        (LCEL.map(), 0),
        (MODEL.configurable_fields(responses=ConfigurableField("r")), 1),
        (LCEL.configurable_fields(name=ConfigurableField("n")), 0),
        (MODEL.configurable_alternatives(ConfigurableField("m"), other=MODEL), 1),
        (MODEL.configurable_alternatives(ConfigurableField("m"), other=LCEL), 0),
        (MODEL.configurable_alternatives(ConfigurableField("m"), other=lambda: MODEL), 0),
    ],
)
def test_the_models_on_the_way_of_the_answer_are_marked(
    chain: Runnable[Any, Any], marks: int
) -> None:
    assert marked_models(plan_chain(chain).chain) == marks


@pytest.mark.parametrize(
    ("chain", "key", "marks"),
    [
        (RunnableParallel(a=LCEL, b=LCEL), "b", 1),
        (RunnableParallel(a=LCEL), "c", 0),
        (RunnablePassthrough.assign(a=LCEL).assign(b=len), "a", 1),
        (RunnablePassthrough.assign(a=LCEL).assign(b=LCEL), "b", 1),
    ],
)
def test_output_key_says_which_way_the_answer_goes(
    chain: Runnable[Any, Any], key: str, marks: int
) -> None:
    plan = plan_chain(chain, output_key=key)
    assert marked_models(plan.chain) == marks
    assert not marks or plan.spec.output_path[0] == (key,)


class LoudLambda(RunnableLambda[Any, Any]):
    """Makes something of the output after its handlers were told of it."""

    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        return str(await super().ainvoke(*args, **kwargs)).upper()


class LoudBinding(RunnableBinding[Any, Any]):
    """The same around any chain."""

    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        return str(await super().ainvoke(*args, **kwargs)).upper()


@pytest.mark.parametrize(
    "chain",
    [
        MODEL,
        NoRetriever(),
        MODEL.bind(stop=["x"]),
        look,
        graph("one"),
        LoudLambda(len),
        LoudBinding(bound=LCEL),
        LoudBinding(bound=LCEL).bind(),
    ],
)
def test_what_does_not_tell_its_end_is_made_to(chain: Runnable[Any, Any]) -> None:
    served = plan_chain(chain).chain
    assert isinstance(served, RunnableSequence)
    assert len(served.steps) == 2


@pytest.mark.parametrize("chain", [LCEL, LCEL.bind(), LCEL.with_retry(), RunnableLambda(len)])
def test_what_tells_its_end_is_served_as_it_is(chain: Runnable[Any, Any]) -> None:
    assert type(plan_chain(chain).chain) is type(chain)


def test_an_opaque_function_is_called_as_before() -> None:
    def ask(question: str, config: RunnableConfig) -> str:
        return f"{question} {config['tags']}"

    marked = plan_chain(RunnableLambda(ask, name="mine")).chain
    assert marked.get_name() == "mine"
    assert marked.invoke("?", {"tags": ["x"]}) == "? ['x']"
    assert plan_chain(RunnableLambda(itemgetter("a"))).chain.invoke({"a": 1}) == 1


def test_a_chain_that_a_function_returns_is_marked_then() -> None:
    marked = plan_chain(RunnableLambda(lambda _: LCEL)).chain
    assert marked_models(marked.func(None)) == 1  # type: ignore[attr-defined]


def test_a_history_knows_where_the_answer_is() -> None:
    chain = RunnableWithMessageHistory(
        RunnablePassthrough.assign(a=LCEL, b=LCEL),
        lambda session_id: InMemoryChatMessageHistory(),
        input_messages_key="question",
        output_messages_key="b",
    )
    assert plan_chain(chain).spec.output_path == (("b",),)


class Streaming(FakeListLLM):
    """An LLM that streams, as FakeListLLM does not."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[GenerationChunk]:
        raise NotImplementedError
        yield


async def shout(chunks: AsyncIterator[Any]) -> AsyncIterator[str]:
    raise NotImplementedError
    yield


LLM = Streaming(responses=["hi"])
CACHED: dict[str, Any] = {"responses": ["hi"], "cache": InMemoryCache()}


@pytest.mark.parametrize(
    ("chain", "own"),
    [
        (LLM, True),
        (PROMPT | LLM.bind(stop=["x"]) | StrOutputParser(), True),
        (LLM.with_retry(), False),  # LangChain would not try again
        (LLM.with_fallbacks([LLM]), False),
        (Streaming(**CACHED), False),  # nor look into the cache
        (FakeListLLM(responses=["hi"]), False),
        (RunnableGenerator(shout), True),
        (LCEL | RunnableGenerator(shout), True),
        (PROMPT | FakeListChatModel(**CACHED) | RunnableGenerator(shout), False),
        (PROMPT | MODEL.with_retry() | RunnableGenerator(shout), False),
        (RunnableParallel(a=LCEL.with_retry()) | RunnableGenerator(shout), False),
        (RunnablePassthrough.assign(a=LCEL.with_retry()) | RunnableGenerator(shout), False),
        (MODEL.with_retry().with_config(tags=["x"]) | RunnableGenerator(shout), False),
        (RunnableBranch((bool, LCEL), LCEL.with_retry()) | RunnableGenerator(shout), False),
        ((PROMPT | MODEL.with_retry()).bind() | RunnableGenerator(shout), False),
        (PROMPT | MODEL.with_fallbacks([MODEL]) | RunnableGenerator(shout), False),
        (RunnableParallel(a=RunnableGenerator(shout)).pick("a"), False),
    ],
)
def test_a_chain_is_streamed_only_where_that_loses_nothing(
    chain: Runnable[Any, Any], own: bool
) -> None:
    plan = plan_chain(chain)
    assert plan.has_own_chunks is own
    assert (plan.spec.answer_runs is no_run) is own, "else the model would be heard as well"
    assert not plan_chain(chain, final_tag="mine").has_own_chunks


# -- classic chains ------------------------------------------------------------------------


def llm_chain(**options: Any) -> LLMChain:
    return LLMChain(llm=MODEL, prompt=PROMPT, **options)


@pytest.mark.parametrize(("strips"), [True, False])
def test_a_simple_sequence_may_strip_the_answer(strips: bool) -> None:
    chain = SimpleSequentialChain(chains=[llm_chain(), llm_chain()], strip_outputs=strips)
    assert plan_chain(chain).spec.strip is strips


def test_an_agent_that_announces_its_answer_strips_it() -> None:
    spec = plan_chain(agent()).spec
    assert (spec.prefix, spec.strip) == (("Final", "Answer", ":"), True)


def test_a_router_speaks_if_all_its_destinations_speak_in_one_manner() -> None:
    def router(destination: Any) -> Any:
        route = RouterTo()
        return MultiRouteChain(
            router_chain=route, destination_chains={"a": destination}, default_chain=llm_chain()
        )

    assert marked_models(plan_chain(router(llm_chain())).chain) == 2
    stripping = SimpleSequentialChain(chains=[llm_chain()], strip_outputs=True)
    assert marked_models(plan_chain(router(stripping)).chain) == 0


def test_what_makes_too_many_documents_fewer_does_not_speak() -> None:
    document = PromptTemplate.from_template("{page_content}")
    stuff = StuffDocumentsChain(
        llm_chain=llm_chain(), document_prompt=document, document_variable_name="question"
    )
    marked = tag_answer_models(ReduceDocumentsChain(combine_documents_chain=stuff)).chain
    assert marked_models(marked.combine_documents_chain) == 1
    assert marked.collapse_documents_chain is stuff


def test_any_of_several_may_speak() -> None:
    spec = plan_chain(graph("one").with_fallbacks([graph("two"), LCEL])).spec
    rules = (
        InNodes(GRAPH_TAG, {"one": None}),
        InNodes(GRAPH_TAG, {"two": None}),
        Tagged(ANSWER_TAG),
    )
    assert spec.answer_runs == AnyOf(rules)
    assert (spec.has_tools, spec.is_agent, spec.returns_documents) == (True, True, True)


# -- graphs --------------------------------------------------------------------------------


def speaking(chain: Any) -> Any:
    answer_runs = plan_chain(chain).spec.answer_runs
    assert isinstance(answer_runs, InNodes)
    return answer_runs.nodes


def test_the_nodes_speak_after_which_a_graph_can_end() -> None:
    assert speaking(graph("draft", "final")) == {"final": None}
    assert speaking(graph("one")) == {"one": None}
    assert speaking(graph("draft", graph("a", "b"))) == {"graph": {"b": None}}


def test_conditions_and_commands_lead_to_an_end_too() -> None:
    def turn(state: Any) -> Command[Literal["other", "__end__"]]:
        raise NotImplementedError

    builder = StateGraph(MessagesState)
    for name in ("free", "bound", "other", "last"):
        builder.add_node(name, lambda state: state)
    builder.add_node("turn", turn)
    builder.add_edge("__start__", "free")
    builder.add_edge("free", "bound")
    builder.add_conditional_edges("free", lambda state: "bound")  # or wherever it likes
    builder.add_conditional_edges("bound", lambda state: "other", ["other", "turn"])
    builder.add_edge(["other", "turn"], "last")
    assert set(speaking(builder.compile())) == {"free", "turn", "last"}


def test_an_agents_tools_and_middleware_do_not_speak() -> None:
    @after_model
    def check(state: Any, runtime: Any) -> None:
        raise NotImplementedError

    model = FakeListChatModel(responses=["hi"])
    summary = SummarizationMiddleware(model, trigger=("messages", 2))
    built = create_agent(Calling(responses=["hi"]), [look], middleware=[summary, check])
    assert len(built.nodes) == 5  # the start among them
    assert speaking(built) == {"model": None}


def test_no_model_speaks_before_middleware_that_removes_what_it_says() -> None:
    built = create_agent(MODEL, middleware=[PIIMiddleware("email", apply_to_output=True)])
    assert "model" not in speaking(built)
    built = create_agent(MODEL, middleware=[PIIMiddleware("email")])
    assert speaking(built) == {"model": None}


def test_agents_that_may_hand_over_may_end() -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("alice", graph("a"), destinations=("bob",))
    builder.add_node("bob", graph("b"), destinations=("alice",))
    builder.add_edge("__start__", "alice")
    assert speaking(builder.compile()) == {"alice": {"a": None}, "bob": {"b": None}}


def test_a_graph_without_messages_speaks_where_its_only_output_is_or_where_it_is_told() -> None:
    class State(TypedDict):
        question: str
        answer: str

    class Answer(TypedDict):
        answer: str

    def built(**options: Any) -> Any:
        builder = StateGraph(State, **options).add_node("one", lambda state: state)
        return builder.add_edge("__start__", "one").compile()

    assert speaking(built()) == {}
    assert speaking(built(output_schema=Answer)) == {"one": None}
    plan = plan_chain(built(), output_key="answer")
    assert plan.spec.output_path == (("__interrupt__", "answer"),)
    assert plan.spec.answer_runs == InNodes(GRAPH_TAG, {"one": None})


def test_a_function_of_langgraph_is_opaque() -> None:
    @entrypoint()
    async def flow(question: str) -> str:
        raise NotImplementedError

    assert speaking(flow) == {}


# -- what the user says --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "http", "websocket"),
    [
        (None, None, None),
        (StreamingCallbackHandler, StreamingCallbackHandler, StreamingCallbackHandler),
        (
            (StreamingCallbackHandler, WebSocketCallbackHandler),
            StreamingCallbackHandler,
            WebSocketCallbackHandler,
        ),
        (
            [StreamingCallbackHandler, WebSocketCallbackHandler],
            StreamingCallbackHandler,
            WebSocketCallbackHandler,
        ),
    ],
)
def test_a_handler_of_ones_own_or_a_pair_of_them_serves_its_transport(
    own: Any, http: Any, websocket: Any
) -> None:
    options = RouteOptions(handlers=own)
    assert options.handler_for(over_websocket=False) is http
    assert options.handler_for(over_websocket=True) is websocket


@pytest.mark.parametrize("own", [(), (StreamingCallbackHandler,), (StreamingCallbackHandler,) * 3])
def test_handlers_that_are_no_pair_are_refused_at_decoration(own: Any) -> None:
    with pytest.raises(ConfigurationError, match="a handler class, or a pair of them"):
        RouteOptions(handlers=own)


@pytest.mark.parametrize("candidate", [None, "text", 7, {"a": 1}, object()])
def test_what_is_no_chain_is_refused_by_name(candidate: object) -> None:
    with pytest.raises(ChainTypeError, match=rf"^here gave {type(candidate).__name__}, which"):
        check_chain(candidate, "here")


def test_a_chain_passes() -> None:
    assert check_chain(LCEL, "here") is LCEL
