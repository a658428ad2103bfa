"""Agents of today: `create_agent`, with all that may be said before the answer."""

import json
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
    wrap_model_call,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from tests.conformance.models import SECRET, Kit, Reply, Script, after_tools, calls
from tests.conformance.rows import ANSWER, Group
from tests.conformance.rows_retrieval import Shelf

group = Group("agents")

HELD = 32
"""How many tokens an agent's handler holds back by default."""

INPUTS = {"messages": [{"role": "user", "content": "What is it like in Zürich?"}]}
SHORT = "It rains."
FORECAST = {"city": "Zürich", "degrees": 17}


class Forecast(BaseModel):
    """What it is like."""

    city: str
    degrees: int


@tool
def look(city: str) -> str:
    """Look out of the window."""
    return f"{SECRET}: rain in {city}"


@tool
async def listen(city: str) -> str:
    """Listen at the window."""
    return f"{SECRET}: drops in {city}"


@tool(return_direct=True)
def report(city: str) -> str:
    """Say what it is like; nobody has to add anything."""
    return f"Rain in {city},\n  as usual."


def looks_after(*pieces: str, then: Reply | str = ANSWER) -> Script:
    """Say the pieces, look out of the window, then answer."""
    return after_tools(calls("look", pieces=pieces, city="Zürich"), then)


def words(number: int) -> list[str]:
    """Return the tokens of a thought, so many."""
    return [f"{SECRET} ", *(f"{n} " for n in range(1, number))]


def agent(model: Any, *tools: BaseTool, **options: Any) -> Runnable[Any, Any]:
    return create_agent(model, [*tools], **options)


# -- with and without tools ----------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_without_tools(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(ANSWER), system_prompt="Be brief.")


@group.row(inputs={"messages": "What is it like in Zürich?"}, answer=ANSWER)
def agent_asked_with_a_bare_text(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(ANSWER))


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_that_needs_no_tool(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(ANSWER), look)


@group.row(inputs=INPUTS, answer=SHORT, streams="any")
def agent_whose_answer_is_shorter_than_what_is_held(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after(then=SHORT)), look)


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_sync_tool(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after()), look)


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_an_async_tool(kit: Kit) -> Runnable[Any, Any]:
    script = after_tools(calls("listen", city="Zürich"), ANSWER)
    return agent(kit.chat(script), listen)


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_that_calls_two_tools_at_once(kit: Kit) -> Runnable[Any, Any]:
    both = calls("look", city="Zürich").calls + calls("listen", city="Zürich").calls
    return agent(kit.chat(after_tools(Reply(f"{SECRET}…", both), ANSWER)), look, listen)


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_name(kit: Kit) -> Runnable[Any, Any]:
    weatherman = agent(kit.chat(looks_after("Hm, ", SECRET)), look, name="RunnableSequence")
    return weatherman.with_config(run_name="weatherman", tags=["mine"])


# -- text before a tool call ---------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_short_text_before_the_call(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after(*words(5))), look)


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_text_before_the_call_just_as_long_as_what_is_held(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after(*words(HELD))), look)


@group.row(inputs=INPUTS, answer=ANSWER, retracts="must")
def agent_with_a_text_before_the_call_one_longer_than_what_is_held(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after(*words(HELD + 1))), look)


@group.row(inputs=INPUTS, answer=ANSWER, retracts="must")
def agent_with_a_long_text_before_the_call(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after(*words(100))), look)


@group.row(inputs=INPUTS, answer=ANSWER, options={"hold_tokens": 101})
def agent_that_holds_more(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after(*words(100))), look)


@group.row(inputs=INPUTS, answer=ANSWER, options={"hold_tokens": 0}, retracts="must")
def agent_that_holds_nothing(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after(*words(5))), look)


@group.row(inputs=INPUTS, answer=ANSWER, retracts="must")
def agent_with_long_texts_before_two_calls(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> Reply | str:
        seen = sum(message.type == "tool" for message in messages)
        thought = [f"{SECRET} {seen} ", *(f"{n} " for n in range(50))]
        return calls("look", pieces=thought, city=str(seen)) if seen < 2 else ANSWER

    return agent(kit.chat(script), look)


# -- answers that no model says last -------------------------------------------------------


@group.row(inputs=INPUTS, answer="Rain in Zürich,\n  as usual.", streams="never")
def agent_with_a_tool_that_answers_directly(kit: Kit) -> Runnable[Any, Any]:
    script = after_tools(calls("report", f"{SECRET}: ask them", city="Zürich"), SECRET)
    return agent(kit.chat(script), report)


@group.row(inputs=INPUTS, answer=json.dumps(FORECAST), structured=True, streams="never")
def agent_with_a_structured_answer_by_a_tool(kit: Kit) -> Runnable[Any, Any]:
    script = looks_after(then=calls("Forecast", f"{SECRET}: now I know", **FORECAST))
    return agent(kit.chat(script), look, response_format=ToolStrategy(Forecast))


@group.row(inputs=INPUTS, answer=json.dumps(FORECAST), structured=True, streams="any")
def agent_with_a_structured_answer_by_the_provider(kit: Kit) -> Runnable[Any, Any]:
    script = looks_after(then=json.dumps(FORECAST))
    return agent(kit.chat(script), look, response_format=ProviderStrategy(Forecast))


@group.row(inputs=INPUTS, answer=json.dumps(FORECAST), structured=True, streams="any")
def agent_with_a_structured_answer_in_other_white_space(kit: Kit) -> Runnable[Any, Any]:
    """What the model writes is not the JSON that goes out."""
    written = json.dumps(FORECAST, indent=2, ensure_ascii=False)
    return agent(kit.chat(written), response_format=ProviderStrategy(Forecast))


# -- other models inside -------------------------------------------------------------------


@group.row(
    inputs={
        "messages": [
            {"role": "user", "content": "What is it like?"},
            {"role": "assistant", "content": "Where?"},
            {"role": "user", "content": "In Zürich."},
        ]
    },
    answer=ANSWER,
)
def agent_that_summarizes_first(kit: Kit) -> Runnable[Any, Any]:
    summarizer = SummarizationMiddleware(
        kit.chat(f"{SECRET}: they talk about Zürich", "summarizer"),
        trigger=("messages", 3),
        keep=("messages", 1),
    )

    def script(messages: list[Any]) -> str:
        return ANSWER if SECRET in messages[0].text else "There was no summary."

    return agent(kit.chat(script), middleware=[summarizer])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_an_agent_as_a_tool(kit: Kit) -> Runnable[Any, Any]:
    expert = agent(kit.chat(f"{SECRET}: says the expert, {ANSWER}", "expert"))

    @tool
    async def consult(question: str) -> str:
        """Ask the expert."""
        state = await expert.ainvoke({"messages": [("user", question)]})
        return str(state["messages"][-1].text)

    return agent(kit.chat(after_tools(calls("consult", question="Rain?"), ANSWER)), consult)


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_tool_that_calls_a_model(kit: Kit) -> Runnable[Any, Any]:
    @tool
    def translate(text: str) -> str:
        """Translate."""
        return kit.chat(f"{SECRET}: Regen", "translator").invoke(text).text

    return agent(kit.chat(after_tools(calls("translate", text="rain"), ANSWER)), translate)


@group.row(inputs=INPUTS, answer=ANSWER, keeps_documents=True)
def agent_with_a_retriever_as_a_tool(kit: Kit) -> Runnable[Any, Any]:
    """What an agent looks up on its way is its own affair."""

    @tool
    async def find(query: str) -> str:
        """Find something."""
        return str(await Shelf().ainvoke(query))

    return agent(kit.chat(after_tools(calls("find", query="rain"), ANSWER)), find)


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_middleware_asks_for_a_decision(kit: Kit) -> Runnable[Any, Any]:
    """Within the node of the agent's own model, another one is asked for JSON."""
    decision = kit.chat(json.dumps({SECRET: True}), "decision").bind(
        ls_structured_output_format={"kwargs": {"method": "json_schema"}, "schema": {"title": "x"}}
    )

    @wrap_model_call
    async def decide(request: Any, handler: Any) -> Any:
        await decision.ainvoke("Which tools?")
        return await handler(request)

    return agent(kit.chat(ANSWER), middleware=[decide])


@group.row(
    inputs=INPUTS,
    answer="",
    interrupts=(
        {
            "action_requests": [
                {
                    "name": "look",
                    "args": {"city": "Zürich"},
                    "description": "May it?",
                }
            ],
            "review_configs": [{"action_name": "look", "allowed_decisions": ["approve"]}],
        },
    ),
    options={"config": {"configurable": {"thread_id": "approval"}}},
    then=({"resume": {"decisions": [{"type": "approve"}]}}, ANSWER),
    streams="never",
)
def agent_that_asks_for_approval(kit: Kit) -> Runnable[Any, Any]:
    asks = HumanInTheLoopMiddleware(
        {"look": {"allowed_decisions": ["approve"], "description": "May it?"}}
    )
    return agent(
        kit.chat(looks_after(SECRET)), look, middleware=[asks], checkpointer=InMemorySaver()
    )


@group.row(
    inputs={
        "messages": [
            {"role": "user", "content": "What is it like?"},
            {"role": "assistant", "content": f"{SECRET}: said in another run"},
            {"role": "user", "content": "And now?"},
        ]
    },
    answer=ANSWER,
)
def agent_with_messages_of_earlier_runs(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(looks_after()), look)


@group.row(inputs=INPUTS, answer="Write to [REDACTED_EMAIL], in Zürich.", streams="never")
def agent_whose_middleware_redacts_what_it_says(kit: Kit) -> Runnable[Any, Any]:
    redacts = PIIMiddleware("email", apply_to_input=False, apply_to_output=True)
    return agent(kit.chat(f"Write to {SECRET}@example.com, in Zürich."), middleware=[redacts])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_middleware_asks_a_model_of_its_own(kit: Kit) -> Runnable[Any, Any]:
    """It marks the call as its own as LangChain's middleware does, and not by a tag."""

    @wrap_model_call
    async def look_ahead(request: Any, handler: Any) -> Any:
        own = {"metadata": {"lc_internal_call": "of middleware"}}
        await kit.chat(f"{SECRET}: what may come", "own").ainvoke(request.messages, own)
        return await handler(request)

    return agent(kit.chat(ANSWER), middleware=[look_ahead])
