"""LangGraph: graphs of one and of several nodes."""

import json
import operator
from collections.abc import Callable
from typing import Annotated, Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from tests.conformance.models import SECRET, Kit, always, calls, everything
from tests.conformance.rows import ANSWER, Group
from tests.conformance.rows_agents import look, looks_after, words

group = Group("graphs")

INPUTS = {"messages": [{"role": "user", "content": "What is it like?"}]}
THOUGHT = f"{SECRET}: a draft"
THREAD = {"config": {"configurable": {"thread_id": "ada"}}}


def says(model: Any) -> Any:
    """Return a node that adds the model's message."""

    async def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return node


def sequence(*nodes: Any) -> Any:
    """Return a graph of nodes one after the other."""
    graph = StateGraph(MessagesState)
    graph.add_sequence([(f"step{number}", node) for number, node in enumerate(nodes)])
    graph.add_edge(START, "step0")
    return graph


# -- one node ------------------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def graph(kit: Kit) -> Runnable[Any, Any]:
    return sequence(says(kit.chat(ANSWER))).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_a_sync_node(kit: Kit) -> Runnable[Any, Any]:
    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [kit.chat(ANSWER).invoke(state["messages"])]}

    return sequence(node).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_with_a_name(kit: Kit) -> Runnable[Any, Any]:
    compiled = sequence(says(kit.chat(ANSWER))).compile(name="mine")
    return compiled.with_config(run_name="yours", tags=["t"])


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def graph_of_a_node_that_calls_no_model(kit: Kit) -> Runnable[Any, Any]:
    return sequence(lambda state: {"messages": [AIMessage(ANSWER)]}).compile()


@group.row(inputs=INPUTS, answer=ANSWER, streams="never", retracts="may")
def graph_of_a_node_that_calls_a_model_for_itself(kit: Kit) -> Runnable[Any, Any]:
    """The message that the state gets is not the one that the model said."""

    async def node(state: MessagesState) -> dict[str, Any]:
        await kit.chat(THOUGHT).ainvoke(state["messages"])
        return {"messages": [AIMessage(ANSWER)]}

    return sequence(node).compile()


# -- several nodes -------------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_two_models(kit: Kit) -> Runnable[Any, Any]:
    return sequence(says(kit.chat(THOUGHT, "drafter")), says(kit.chat(ANSWER))).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_three_models(kit: Kit) -> Runnable[Any, Any]:
    drafters = [says(kit.chat(THOUGHT, f"drafter {number}")) for number in range(2)]
    return sequence(*drafters, says(kit.chat(ANSWER))).compile()


@group.row(inputs=INPUTS, answer=ANSWER, streams="any")
def graph_that_ends_with_a_node_of_no_model(kit: Kit) -> Runnable[Any, Any]:
    return sequence(says(kit.chat(ANSWER)), lambda state: {}).compile()


@group.row(inputs=INPUTS, answer=ANSWER, streams="any")
def graph_of_two_nodes_in_parallel(kit: Kit) -> Runnable[Any, Any]:
    """Both add a message; the state's last one is the answer."""
    graph = StateGraph(MessagesState)
    graph.add_node("a", says(kit.chat(THOUGHT, "a")))
    graph.add_node("b", says(kit.chat(ANSWER, "b")))
    for name in ("a", "b"):
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_two_parallel_nodes_and_one_after_them(kit: Kit) -> Runnable[Any, Any]:
    graph = StateGraph(MessagesState)
    for name in ("a", "b"):
        graph.add_node(name, says(kit.chat(f"{THOUGHT} by {name}", name)))
        graph.add_edge(START, name)
    graph.add_node("c", says(kit.chat(ANSWER)))
    graph.add_edge(["a", "b"], "c")
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_with_a_conditional_edge(kit: Kit) -> Runnable[Any, Any]:
    """The output of the first model decides which node answers."""
    graph = StateGraph(MessagesState)
    graph.add_node("classify", says(kit.chat(f"{SECRET}: weather", "classifier")))
    graph.add_node("weather", says(kit.chat(ANSWER)))
    graph.add_node("other", says(kit.chat(SECRET, "other")))
    graph.add_edge(START, "classify")
    graph.add_conditional_edges(
        "classify",
        lambda state: "weather" if "weather" in state["messages"][-1].text else "other",
        ["weather", "other"],
    )
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def graph_with_a_loop(kit: Kit) -> Runnable[Any, Any]:
    """It loops until a model accepts the draft: which turn is the last is not known before."""

    def script(messages: list[Any]) -> str:
        turns = sum(message.type == "ai" for message in messages)
        return ANSWER if turns == 2 else f"{THOUGHT}, number {turns}"

    graph = StateGraph(MessagesState)
    graph.add_node("write", says(kit.chat(script)))
    graph.add_edge(START, "write")
    graph.add_conditional_edges(
        "write", lambda state: END if len(state["messages"]) == 4 else "write", [END, "write"]
    )
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_nodes_that_say_where_to_go(kit: Kit) -> Runnable[Any, Any]:
    async def first(state: MessagesState) -> Command[Any]:
        thought = await kit.chat(THOUGHT, "first").ainvoke(state["messages"])
        return Command(update={"messages": [thought]}, goto="second")

    graph = StateGraph(MessagesState)
    graph.add_node("first", first, destinations=("second",))
    graph.add_node("second", says(kit.chat(ANSWER)))
    graph.add_edge(START, "first")
    return graph.compile()


# -- graphs and agents in nodes ------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_with_a_subgraph_at_its_end(kit: Kit) -> Runnable[Any, Any]:
    inner = sequence(says(kit.chat(THOUGHT, "inner")), says(kit.chat(ANSWER))).compile()
    return sequence(says(kit.chat(THOUGHT, "outer")), inner).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_with_a_subgraph_at_its_start(kit: Kit) -> Runnable[Any, Any]:
    inner = sequence(says(kit.chat(THOUGHT, "inner"))).compile()
    return sequence(inner, says(kit.chat(ANSWER))).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_a_node_that_calls_an_agent(kit: Kit) -> Runnable[Any, Any]:
    agent = create_agent(kit.chat(looks_after(*words(5))), [look])

    async def node(state: MessagesState) -> dict[str, Any]:
        said = await agent.ainvoke({"messages": state["messages"]})
        return {"messages": said["messages"][-1:]}

    return sequence(node).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_a_node_that_is_an_agent(kit: Kit) -> Runnable[Any, Any]:
    return sequence(create_agent(kit.chat(looks_after(*words(5))), [look])).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_an_agent_that_only_prepares(kit: Kit) -> Runnable[Any, Any]:
    agent = create_agent(kit.chat(looks_after(then=THOUGHT), "agent"), [look])
    return sequence(agent, says(kit.chat(ANSWER))).compile()


# -- checkpoints and interrupts ------------------------------------------------------------


@group.row(
    inputs={"messages": [{"role": "user", "content": "I am Ada."}]},
    answer="I read:\nI am Ada.",
    options=THREAD,
    then=(
        {"messages": [{"role": "user", "content": "Who am I?"}]},
        "I read:\nI am Ada.\nI read:\nI am Ada.\nWho am I?",
    ),
)
def graph_with_a_checkpointer(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(lambda messages: "I read:\n" + everything(messages))
    return sequence(says(model)).compile(checkpointer=InMemorySaver())


@group.row(
    inputs={"messages": [{"role": "user", "content": "I am Ada."}]},
    answer=ANSWER,
    options=THREAD,
    then=({"messages": [{"role": "user", "content": "Who am I?"}]}, f"Ada.\n{ANSWER}"),
)
def agent_with_a_checkpointer(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> Any:
        if "Who am I?" in messages[-1].text:
            return f"Ada.\n{ANSWER}" if "I am Ada." in everything(messages) else "Who knows?"
        return ANSWER if messages[-1].type == "tool" else calls("look", SECRET, city="Zürich")

    return create_agent(kit.chat(script), [look], checkpointer=InMemorySaver())


def asks(question: Any) -> Any:
    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [interrupt(question)]}

    return node


@group.row(
    inputs=INPUTS,
    answer="",
    interrupts=("Shall I go on?\n  (yes or no)",),
    then=({"resume": "yes"}, ANSWER),
    options=THREAD,
    streams="never",
)
def graph_with_an_interrupt(kit: Kit) -> Runnable[Any, Any]:
    thinks = says(kit.chat(THOUGHT))
    graph = sequence(thinks, asks("Shall I go on?\n  (yes or no)"), says(kit.chat(ANSWER)))
    return graph.compile(checkpointer=InMemorySaver())


@group.row(
    inputs=INPUTS,
    answer="",
    interrupts=({"question": "Shall I?", "choices": ["yes", "no"]},),
    options=THREAD,
    streams="never",
)
def graph_with_an_interrupt_that_is_no_text(kit: Kit) -> Runnable[Any, Any]:
    graph = sequence(
        says(kit.chat(THOUGHT)), asks({"question": "Shall I?", "choices": ["yes", "no"]})
    )
    return graph.compile(checkpointer=InMemorySaver())


# -- conversations of other messages than objects ------------------------------------------


class Appended(TypedDict):
    """A conversation that takes what the nodes return as it is."""

    messages: Annotated[list[Any], operator.add]


def says_as(kit: Kit, form: Callable[[str], Any]) -> Runnable[Any, Any]:
    async def node(state: Appended) -> dict[str, Any]:
        said = await kit.chat(ANSWER).ainvoke(state["messages"])
        return {"messages": [form(said.text)]}

    return StateGraph(Appended).add_node("node", node).add_edge(START, "node").compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_messages_as_dicts(kit: Kit) -> Runnable[Any, Any]:
    return says_as(kit, lambda text: {"role": "assistant", "content": text})


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_messages_as_dicts_of_blocks(kit: Kit) -> Runnable[Any, Any]:
    return says_as(
        kit, lambda text: {"type": "ai", "content": [{"type": "text", "text": text}], "id": "1"}
    )


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_messages_as_pairs(kit: Kit) -> Runnable[Any, Any]:
    return says_as(kit, lambda text: ("ai", text))


class Remote(RemoteGraph):
    """A graph on another server, which sends what it returns as JSON."""

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        asked = {"type": "human", "content": "What is it like?", "id": "1"}
        said = {"type": "ai", "content": ANSWER, "id": "2", "tool_calls": []}
        return {"messages": [asked, said]}


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def remote_graph(kit: Kit) -> Runnable[Any, Any]:
    return Remote("agent", url="http://127.0.0.1:9")


# -- states without messages ---------------------------------------------------------------


class Question(TypedDict):
    question: str


class State(Question, total=False):
    answer: str
    notes: str


def state_graph(kit: Kit) -> Runnable[Any, Any]:
    async def take_notes(state: State) -> dict[str, str]:
        return {"notes": (await kit.chat(THOUGHT, "notes").ainvoke(state["question"])).text}

    async def answer(state: State) -> dict[str, str]:
        return {"answer": (await kit.chat(ANSWER).ainvoke(state["question"])).text}

    graph = StateGraph(State, input_schema=Question)
    graph.add_sequence([("take_notes", take_notes), ("say", answer)])
    graph.add_edge(START, "take_notes")
    return graph.compile()


@group.row(
    inputs={"question": "Rain?"}, answer=ANSWER, options={"output_key": "answer"}, streams="any"
)
def graph_with_an_output_key(kit: Kit) -> Runnable[Any, Any]:
    return state_graph(kit)


@group.row(
    inputs={"question": "Rain?"},
    answer=json.dumps({"question": "Rain?", "answer": ANSWER, "notes": THOUGHT}),
    structured=True,
    streams="never",
)
def graph_without_messages(kit: Kit) -> Runnable[Any, Any]:
    return state_graph(kit)


@group.row(inputs={"question": "Rain?"}, answer=ANSWER, streams="any")
def function_as_a_graph(kit: Kit) -> Runnable[Any, Any]:
    @entrypoint()
    async def flow(inputs: dict[str, str]) -> str:
        await kit.chat(THOUGHT, "thinker").ainvoke(inputs["question"])
        return (await kit.chat(ANSWER).ainvoke(inputs["question"])).text

    return flow


# -- idioms --------------------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_with_a_model_in_a_condition(kit: Kit) -> Runnable[Any, Any]:
    """The model that looks at the answer speaks to the graph, and not to the user."""

    async def grade(state: MessagesState) -> str:
        verdict = await kit.chat(f"{SECRET}: good", "grader").ainvoke(state["messages"])
        return "good" if verdict.text.endswith("good") else "bad"

    graph = sequence(says(kit.chat(ANSWER)))
    graph.add_conditional_edges("step0", grade, {"good": END, "bad": "step0"})
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_agents_that_may_hand_over(kit: Kit) -> Runnable[Any, Any]:
    @tool
    def to_bob() -> Command[Any]:
        """Ask Bob."""
        note = ToolMessage(f"{SECRET}: asked", tool_call_id="call_to_bob")
        return Command(goto="bob", graph=Command.PARENT, update={"messages": [note]})

    alice = create_agent(kit.chat(always(calls("to_bob")), "alice"), [to_bob], name="alice")
    bob = create_agent(kit.chat(ANSWER, "bob"), name="bob")
    graph = StateGraph(MessagesState)
    graph.add_node("alice", alice, destinations=("bob",))
    graph.add_node("bob", bob, destinations=("alice",))
    graph.add_edge(START, "alice")
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def graph_whose_expert_has_a_name(kit: Kit) -> Runnable[Any, Any]:
    """A human message with a name is what an agent says, and no question of the user."""

    async def expert(state: MessagesState) -> dict[str, Any]:
        said = await kit.chat(ANSWER).ainvoke(state["messages"])
        return {"messages": [HumanMessage(said.text, name="expert")]}

    return sequence(expert, lambda state: {}).compile()


class Answered(MessagesState):
    """A conversation, and beside it the answer."""

    answer: str


@group.row(inputs=INPUTS, answer=ANSWER, key="answer")
def graph_whose_answer_is_beside_its_messages(kit: Kit) -> Runnable[Any, Any]:
    async def node(state: Answered) -> dict[str, Any]:
        return {"answer": (await kit.chat(ANSWER).ainvoke(state["messages"])).text}

    return StateGraph(Answered).add_node("node", node).add_edge(START, "node").compile()
