"""Graphs in graphs, fan-outs, and agents that work together: deepagents, supervisors, swarms."""

import operator
from typing import Annotated, Any, cast

from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, Send
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.conformance.models import SECRET, Kit, Reply, after_tools, always, calls
from tests.conformance.rows import ANSWER, Group
from tests.conformance.rows_agents import listen, look, looks_after, words
from tests.conformance.rows_graphs import INPUTS, THOUGHT, says, sequence

group = Group("teams")


# -- deepagents ----------------------------------------------------------------------------


def deep(kit: Kit, model: Any, **options: Any) -> Runnable[Any, Any]:
    from deepagents import create_deep_agent

    return cast("Runnable[Any, Any]", create_deep_agent(model, **options))


def researcher(kit: Kit) -> dict[str, Any]:
    return {
        "name": "researcher",
        "description": "Looks things up",
        "system_prompt": "You look things up.",
        "model": kit.chat(looks_after(SECRET, then=f"{SECRET}: found"), "researcher"),
        "tools": [look],
    }


DELEGATES = calls("task", f"{SECRET}: ask", description="Look", subagent_type="researcher")


@group.row(inputs=INPUTS, answer=ANSWER, needs="deepagents")
def deep_agent(kit: Kit) -> Runnable[Any, Any]:
    return deep(kit, kit.chat(ANSWER))


@group.row(inputs=INPUTS, answer=ANSWER, needs="deepagents")
def deep_agent_with_a_tool(kit: Kit) -> Runnable[Any, Any]:
    return deep(kit, kit.chat(looks_after(*words(5))), tools=[look])


@group.row(inputs=INPUTS, answer=ANSWER, needs="deepagents")
def deep_agent_with_a_subagent(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(after_tools(DELEGATES, ANSWER))
    return deep(kit, model, subagents=[researcher(kit)])


@group.row(inputs=INPUTS, answer=ANSWER, needs="deepagents")
def deep_agent_with_two_subagents_at_once(kit: Kit) -> Runnable[Any, Any]:
    other = researcher(kit) | {"name": "other", "model": kit.chat(f"{SECRET}: other", "other")}
    second = calls("task", description="Look", subagent_type="other").calls[0] | {"id": "call_2"}
    both = Reply(SECRET, (*DELEGATES.calls, second))
    model = kit.chat(after_tools(both, ANSWER))
    return deep(kit, model, subagents=[researcher(kit), other])


@group.row(inputs=INPUTS, answer=ANSWER, needs="deepagents")
def deep_agent_with_a_compiled_subagent(kit: Kit) -> Runnable[Any, Any]:
    runnable = create_agent(kit.chat(looks_after(then=f"{SECRET}: found"), "inner"), [look])
    subagent = {"name": "researcher", "description": "Looks things up", "runnable": runnable}
    return deep(kit, kit.chat(after_tools(DELEGATES, ANSWER)), subagents=[subagent])


@group.row(inputs=INPUTS, answer=ANSWER, needs="deepagents")
def deep_agent_with_files(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> Reply | str:
        path = "/notes.md"
        done = sum(message.type == "tool" for message in messages)
        write = calls("write_file", SECRET, file_path=path, content=f"{SECRET}: a note")
        return [write, calls("read_file", file_path=path), ANSWER][done]

    return deep(kit, kit.chat(script))


# -- supervisors and swarms ----------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER, needs="langgraph_supervisor", retracts="may", caches=False)
def supervisor(kit: Kit) -> Runnable[Any, Any]:
    """It notes who handed over under new ids, so no cache knows its second prompt."""
    from langgraph_supervisor import create_supervisor

    expert = create_agent(kit.chat(THOUGHT, "expert"), name="expert")
    asks = calls("transfer_to_expert", SECRET)

    def script(messages: list[Any]) -> Reply | str:
        return ANSWER if any(message.name == "expert" for message in messages) else asks

    return create_supervisor([expert], model=kit.chat(script)).compile()


@group.row(inputs=INPUTS, answer=ANSWER, needs="langgraph_supervisor")
def supervisor_that_answers_itself(kit: Kit) -> Runnable[Any, Any]:
    from langgraph_supervisor import create_supervisor

    expert = create_agent(kit.chat(THOUGHT, "expert"), name="expert")
    return create_supervisor([expert], model=kit.chat(ANSWER)).compile()


def swarm(kit: Kit, first: Any) -> Runnable[Any, Any]:
    from langgraph_swarm import create_handoff_tool, create_swarm

    to_bob, to_alice = (create_handoff_tool(agent_name=name) for name in ("bob", "alice"))
    alice = create_agent(kit.chat(first, "alice"), [to_bob], name="alice")
    bob = create_agent(kit.chat(ANSWER, "bob"), [to_alice], name="bob")
    return create_swarm([alice, bob], default_active_agent="alice").compile()


@group.row(inputs=INPUTS, answer=ANSWER, needs="langgraph_swarm")
def swarm_that_hands_over(kit: Kit) -> Runnable[Any, Any]:
    return swarm(kit, always(calls("transfer_to_bob", SECRET)))


@group.row(inputs=INPUTS, answer=ANSWER, needs="langgraph_swarm")
def swarm_whose_first_agent_answers(kit: Kit) -> Runnable[Any, Any]:
    return swarm(kit, always(ANSWER))


# -- tools and what they return ------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_a_model_and_a_tool_node(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(looks_after(*words(5))).bind_tools([look])
    graph = StateGraph(MessagesState)
    graph.add_node("model", says(model))
    graph.add_node("tools", ToolNode([look]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_whose_tool_node_handles_an_error(kit: Kit) -> Runnable[Any, Any]:
    @tool
    def look(city: str) -> str:
        """Look out of the window."""
        raise ValueError(SECRET)

    graph = StateGraph(MessagesState)
    graph.add_node("model", says(kit.chat(looks_after()).bind_tools([look])))
    graph.add_node("tools", ToolNode([look], handle_tool_errors=True))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_four_tools_at_once(kit: Kit) -> Runnable[Any, Any]:
    four = tuple(
        call | {"id": f"{call['name']}{number}"}
        for number in range(2)
        for call in (*calls("look", city=str(number)).calls, *calls("listen", city="x").calls)
    )
    script = after_tools(Reply(SECRET, four), ANSWER)
    return create_agent(kit.chat(script), [look, listen])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_updates_the_state(kit: Kit) -> Runnable[Any, Any]:
    @tool
    def look(city: str, runtime: ToolRuntime[Any, Any]) -> Command[Any]:
        """Look out of the window."""
        result = ToolMessage(f"{SECRET}: rain", tool_call_id=runtime.tool_call_id)
        return Command(update={"messages": [result]})

    return create_agent(kit.chat(looks_after(SECRET)), [look])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_returns_an_artifact(kit: Kit) -> Runnable[Any, Any]:
    @tool(response_format="content_and_artifact")
    def look(city: str) -> tuple[str, dict[str, str]]:
        """Look out of the window."""
        return f"{SECRET}: rain", {"picture": SECRET}

    return create_agent(kit.chat(looks_after()), [look])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_that_calls_a_tool_wrongly(kit: Kit) -> Runnable[Any, Any]:
    """The model hears that there is no such tool, and answers."""
    return create_agent(kit.chat(after_tools(calls("taste", SECRET), ANSWER)), [look])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_that_reasons(kit: Kit) -> Runnable[Any, Any]:
    looks = Reply(SECRET, calls("look", city="Zürich").calls, thought=f"{SECRET}: look")
    return create_agent(
        kit.chat(after_tools(looks, Reply(ANSWER, thought=f"{SECRET}: now I know"))), [look]
    )


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_reports_progress(kit: Kit) -> Runnable[Any, Any]:
    @tool
    async def look(city: str, runtime: ToolRuntime[Any, Any]) -> str:
        """Look out of the window."""
        runtime.stream_writer({"progress": f"{SECRET}: half"})
        return f"{SECRET}: rain"

    return create_agent(kit.chat(looks_after()), [look])


# -- subgraphs -----------------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_in_a_graph_in_a_graph(kit: Kit) -> Runnable[Any, Any]:
    inner = sequence(says(kit.chat(THOUGHT, "inner")), says(kit.chat(ANSWER))).compile()
    middle = sequence(says(kit.chat(THOUGHT, "middle")), inner).compile()
    return sequence(says(kit.chat(THOUGHT, "outer")), middle).compile()


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def graph_of_a_node_that_calls_a_graph(kit: Kit) -> Runnable[Any, Any]:
    """Which nodes the inner graph has cannot be seen in the function that calls it."""
    inner = sequence(says(kit.chat(THOUGHT, "inner")), says(kit.chat(ANSWER))).compile()

    async def node(state: MessagesState) -> dict[str, Any]:
        said = await inner.ainvoke({"messages": state["messages"]})
        return {"messages": said["messages"][-1:]}

    return sequence(node).compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_graph_in_a_tool(kit: Kit) -> Runnable[Any, Any]:
    inner = sequence(says(kit.chat(THOUGHT, "inner"))).compile()

    @tool
    async def look(city: str) -> str:
        """Ask a graph."""
        said = await inner.ainvoke({"messages": [HumanMessage(city)]})
        return str(said["messages"][-1].text)

    return create_agent(kit.chat(looks_after()), [look])


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_of_two_agents_in_turn(kit: Kit) -> Runnable[Any, Any]:
    first = create_agent(kit.chat(looks_after(then=THOUGHT), "first"), [look], name="first")

    def script(messages: list[Any]) -> Reply | str:
        return ANSWER if messages[-1].type == "tool" else calls("listen", SECRET, city="Bern")

    return sequence(first, create_agent(kit.chat(script), [listen], name="second")).compile()


# -- fan-outs ------------------------------------------------------------------------------


class Notes(MessagesState):
    """A conversation, and notes of several nodes."""

    notes: Annotated[list[str], operator.add]


class Topic(TypedDict):
    topic: str


def fan_out(kit: Kit, last: Any) -> Runnable[Any, Any]:
    async def note(state: Topic) -> dict[str, Any]:
        topic = state["topic"]
        said = await kit.chat(f"{SECRET}: of {topic}", topic).ainvoke(topic)
        return {"notes": [said.text]}

    graph = StateGraph(Notes)
    graph.add_node("note", note)
    graph.add_node("last", last)
    graph.add_conditional_edges(
        START, lambda state: [Send("note", {"topic": topic}) for topic in "abc"], ["note"]
    )
    graph.add_edge("note", "last")
    return graph.compile()


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_that_fans_out_to_models(kit: Kit) -> Runnable[Any, Any]:
    return fan_out(kit, says(kit.chat(ANSWER)))


@group.row(inputs=INPUTS, answer=f"{SECRET}: of a", streams="never")
def graph_that_fans_out_and_answers_without_a_model(kit: Kit) -> Runnable[Any, Any]:
    return fan_out(kit, lambda state: {"messages": [AIMessage(state["notes"][0])]})


@group.row(inputs=INPUTS, answer=ANSWER)
def graph_that_fans_out_to_agents(kit: Kit) -> Runnable[Any, Any]:
    worker = create_agent(kit.chat(looks_after(then=THOUGHT), "worker"), [look])
    graph = StateGraph(MessagesState)
    graph.add_node("worker", worker)
    graph.add_node("last", says(kit.chat(ANSWER)))
    graph.add_conditional_edges(
        START,
        lambda state: [Send("worker", {"messages": [HumanMessage(city)]}) for city in "ab"],
        ["worker"],
    )
    graph.add_edge("worker", "last")
    return graph.compile()


# -- functions as graphs -------------------------------------------------------------------


# LangGraph 1.0 returns None from it where any handler streams.
@group.row(inputs={"question": "Rain?"}, answer=ANSWER, streams="any", needs="langgraph.callbacks")
def function_with_tasks(kit: Kit) -> Runnable[Any, Any]:
    @task
    async def think(question: str) -> str:
        return (await kit.chat(THOUGHT, "thinker").ainvoke(question)).text

    @task
    async def answer(question: str) -> str:
        return (await kit.chat(ANSWER).ainvoke(question)).text

    @entrypoint()
    async def flow(inputs: dict[str, str]) -> str:
        await think(inputs["question"])
        return cast("str", await answer(inputs["question"]))

    return flow


@group.row(inputs={"question": "Rain?"}, answer=ANSWER, streams="any")
def function_with_tasks_in_parallel(kit: Kit) -> Runnable[Any, Any]:
    @task
    async def note(topic: str) -> str:
        return (await kit.chat(f"{SECRET}: of {topic}", topic).ainvoke(topic)).text

    @entrypoint()
    async def flow(inputs: dict[str, str]) -> str:
        notes = [note(topic) for topic in "abc"]
        for each in notes:
            await each
        return (await kit.chat(ANSWER).ainvoke(inputs["question"])).text

    return flow


# -- structured answers --------------------------------------------------------------------


class Weather(BaseModel):
    """What it is like."""

    city: str
    rain: bool


@group.row(
    inputs=INPUTS,
    answer='{"city": "Zürich", "rain": true}'.replace("ü", "\\u00fc"),
    structured=True,
    streams="any",
)
def agent_with_a_response_format(kit: Kit) -> Runnable[Any, Any]:
    script = looks_after(then=calls("Weather", SECRET, city="Zürich", rain=True))
    return create_agent(kit.chat(script), [look], response_format=Weather)
