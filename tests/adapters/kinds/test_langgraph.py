"""Which nodes of a graph its answer comes from."""

from typing import Any, Literal

from langchain.agents import create_agent
from langchain.agents.middleware import PIIMiddleware, SummarizationMiddleware, after_model
from langchain_core.language_models import FakeListChatModel
from langgraph.func import entrypoint
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from quart_lanarky.adapters.langchain.handlers.selection import GRAPH_TAG, InNodes
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from tests.adapters.chains import MODEL, Calling, graph, look


def answer_nodes(chain: Any) -> Any:
    answer_runs = plan_chain(chain).spec.answer_runs
    assert isinstance(answer_runs, InNodes)
    return answer_runs.nodes


def test_the_answer_comes_from_the_nodes_after_which_a_graph_can_end() -> None:
    assert answer_nodes(graph("draft", "final")) == {"final": None}
    assert answer_nodes(graph("one")) == {"one": None}
    assert answer_nodes(graph("draft", graph("a", "b"))) == {"graph": {"b": None}}


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
    assert set(answer_nodes(builder.compile())) == {"free", "turn", "last"}


def test_the_answer_never_comes_from_an_agents_tools_and_middleware() -> None:
    @after_model
    def check(state: Any, runtime: Any) -> None:
        raise NotImplementedError

    model = FakeListChatModel(responses=["hi"])
    summary = SummarizationMiddleware(model, trigger=("messages", 2))
    built = create_agent(Calling(responses=["hi"]), [look], middleware=[summary, check])
    assert len(built.nodes) == 5  # the start among them
    assert answer_nodes(built) == {"model": None}


def test_the_answer_comes_after_middleware_that_redacts_it() -> None:
    built = create_agent(MODEL, middleware=[PIIMiddleware("email", apply_to_output=True)])
    assert "model" not in answer_nodes(built)
    built = create_agent(MODEL, middleware=[PIIMiddleware("email")])
    assert answer_nodes(built) == {"model": None}


def test_agents_that_may_hand_over_may_end() -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("alice", graph("a"), destinations=("bob",))
    builder.add_node("bob", graph("b"), destinations=("alice",))
    builder.add_edge("__start__", "alice")
    assert answer_nodes(builder.compile()) == {"alice": {"a": None}, "bob": {"b": None}}


def test_a_graph_without_messages_answers_with_its_only_output_or_the_output_key() -> None:
    class State(TypedDict):
        question: str
        answer: str

    class Answer(TypedDict):
        answer: str

    def built(**options: Any) -> Any:
        builder = StateGraph(State, **options).add_node("one", lambda state: state)
        return builder.add_edge("__start__", "one").compile()

    assert answer_nodes(built()) == {}
    assert answer_nodes(built(output_schema=Answer)) == {"one": None}
    plan = plan_chain(built(), output_key="answer")
    assert plan.spec.output_path == (("answer",),)
    assert plan.spec.answer_runs == InNodes(GRAPH_TAG, {"one": None})


def test_the_nodes_of_a_langgraph_function_cannot_be_seen() -> None:
    @entrypoint()
    async def flow(question: str) -> str:
        raise NotImplementedError

    assert answer_nodes(flow) == {}
