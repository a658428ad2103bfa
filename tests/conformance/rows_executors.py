"""Agents of old: `AgentExecutor`, whose agents announce their answer in words."""

import json
from typing import Any

from langchain_classic.agents import (
    AgentExecutor,
    AgentType,
    create_json_chat_agent,
    create_react_agent,
    create_structured_chat_agent,
    create_tool_calling_agent,
    initialize_agent,
)
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool

from tests.conformance.models import SECRET, Kit, Reply, after_tools, calls, everything, when
from tests.conformance.rows import ANSWER, Group

group = Group("executors")

INPUTS = {"input": "What is it like in Zürich?"}
SEEN = f"{SECRET}: rain"
STOPPED = "Agent stopped due to iteration limit or time limit."
TOOL_AGENT_STOPPED = "Agent stopped due to max iterations."


@tool
def look(city: str) -> str:
    """Look out of the window."""
    return SEEN


LOOKS = f"Thought: {SECRET}, I have to look\nAction: look\nAction Input: Zürich"
ANSWERS = f"Thought: {SECRET}, now I know\nFinal Answer: {ANSWER}"
REACT = PromptTemplate.from_template("{tools}\n{tool_names}\n{input}\n{agent_scratchpad}")
TOOL_CALLING = ChatPromptTemplate.from_messages(
    [("human", "{input}"), MessagesPlaceholder("agent_scratchpad")]
)


def executor(agent: Any, **options: Any) -> Runnable[Any, Any]:
    return AgentExecutor(agent=agent, tools=[look], **options)


# -- ReAct ---------------------------------------------------------------------------------

LOOKS_AND_ANSWERS = when((f"Observation: {SEEN}", ANSWERS), otherwise=LOOKS)


@group.row(inputs=INPUTS, answer=ANSWER, key="output", caches=False)
def react_agent(kit: Kit) -> Runnable[Any, Any]:
    return executor(create_react_agent(kit.chat(LOOKS_AND_ANSWERS), [look], REACT))


@group.row(inputs=INPUTS, answer=ANSWER, key="output", caches=False)
def react_agent_of_an_llm(kit: Kit) -> Runnable[Any, Any]:
    return executor(create_react_agent(kit.llm(LOOKS_AND_ANSWERS), [look], REACT))


@group.row(inputs=INPUTS, answer=ANSWER, key="output", caches=False)
def react_agent_that_needs_no_tool(kit: Kit) -> Runnable[Any, Any]:
    return executor(create_react_agent(kit.chat(ANSWERS), [look], REACT))


@group.row(inputs=INPUTS, answer=ANSWER, key="output")
def react_agent_that_does_not_stream(kit: Kit) -> Runnable[Any, Any]:
    agent = create_react_agent(kit.chat(LOOKS_AND_ANSWERS), [look], REACT)
    return AgentExecutor(agent=agent, tools=[look], stream_runnable=False)


@group.row(inputs=INPUTS, answer=ANSWER, key="output", caches=False)
def react_agent_with_its_steps(kit: Kit) -> Runnable[Any, Any]:
    agent = create_react_agent(kit.chat(LOOKS_AND_ANSWERS), [look], REACT)
    return executor(agent, return_intermediate_steps=True)


@group.row(inputs=INPUTS, answer=STOPPED, key="output", streams="never", caches=False)
def react_agent_that_never_ends(kit: Kit) -> Runnable[Any, Any]:
    return executor(create_react_agent(kit.chat(LOOKS), [look], REACT), max_iterations=2)


@group.row(inputs=INPUTS, answer=ANSWER, key="output", retracts="may", caches=False)
def react_agent_that_says_both(kit: Kit) -> Runnable[Any, Any]:
    """An answer and an action in one text is a parsing error, seen only when it has ended."""
    both = f"Final Answer: {SECRET}, or perhaps\nAction: look\nAction Input: Zürich"
    model = kit.chat(when(("Observation: Invalid", ANSWERS), otherwise=both))
    agent = create_react_agent(model, [look], REACT)
    return executor(agent, handle_parsing_errors="Invalid: say one thing")


@group.row(inputs=INPUTS, answer=ANSWER, key="output", caches=False)
def react_agent_that_forgets_the_format(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(when(("Observation: Invalid", ANSWERS), otherwise=f"{SECRET}, well…"))
    agent = create_react_agent(model, [look], REACT)
    return executor(agent, handle_parsing_errors=True)


@group.row(inputs=INPUTS, answer=ANSWER, key="output")
def zero_shot_react_agent(kit: Kit) -> Runnable[Any, Any]:
    return initialize_agent(
        [look], kit.chat(LOOKS_AND_ANSWERS), agent=AgentType.ZERO_SHOT_REACT_DESCRIPTION
    )


@group.row(inputs=INPUTS, answer=ANSWER, key="output", streams="any")
def zero_shot_react_agent_that_is_asked_to_conclude(kit: Kit) -> Runnable[Any, Any]:
    """It ran out of iterations, and one more call of the model makes the answer."""
    return initialize_agent(
        [look],
        kit.chat(when(("I now need to return a final answer", ANSWERS), otherwise=LOOKS)),
        agent=AgentType.ZERO_SHOT_REACT_DESCRIPTION,
        max_iterations=1,
        early_stopping_method="generate",
    )


# -- agents with other words ---------------------------------------------------------------


@group.row(
    inputs=INPUTS,
    answer=ANSWER,
    key="output",
    then=({"input": "And what did I ask?"}, f"You asked.\n{ANSWER}"),
)
def conversational_agent(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> str:
        asked = everything(messages)
        if "And what did I ask?" in asked:
            remembered = "Human: What is it like in Zürich?" in asked and f"AI: {ANSWER}" in asked
            return f"Thought: {SECRET}\nAI: {'You asked.' if remembered else 'No.'}\n{ANSWER}"
        if f"Observation: {SEEN}" in asked:
            return f"Thought: Do I need to use a tool? No, {SECRET}\nAI: {ANSWER}"
        return f"Thought: Do I need to use a tool? Yes, {SECRET}\n{LOOKS.partition(chr(10))[2]}"

    return initialize_agent(
        [look],
        kit.chat(script),
        agent=AgentType.CONVERSATIONAL_REACT_DESCRIPTION,
        memory=ConversationBufferMemory(memory_key="chat_history"),
    )


def blob(action: str, action_input: Any) -> str:
    """Return an action as agents write it that speak JSON."""
    action_json = json.dumps({"action": action, "action_input": action_input})
    return f"Thought: {SECRET}\nAction:\n```json\n{action_json}\n```"


JSON_LOOKS_AND_ANSWERS = when(
    (SEEN, blob("Final Answer", ANSWER)), otherwise=blob("look", {"city": "Zürich"})
)


@group.row(inputs=INPUTS, answer=ANSWER, key="output", streams="any", caches=False)
def structured_chat_agent(kit: Kit) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "{tools} {tool_names}"), ("human", "{input}\n{agent_scratchpad}")]
    )
    return executor(create_structured_chat_agent(kit.chat(JSON_LOOKS_AND_ANSWERS), [look], prompt))


@group.row(inputs=INPUTS, answer=ANSWER, key="output", streams="any")
def zero_shot_structured_chat_agent(kit: Kit) -> Runnable[Any, Any]:
    return initialize_agent(
        [look],
        kit.chat(JSON_LOOKS_AND_ANSWERS),
        agent=AgentType.STRUCTURED_CHAT_ZERO_SHOT_REACT_DESCRIPTION,
    )


@group.row(inputs=INPUTS, answer=ANSWER, key="output", streams="any", caches=False)
def json_chat_agent(kit: Kit) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "{tools} {tool_names}"),
            ("human", "{input}"),
            MessagesPlaceholder("agent_scratchpad"),
        ]
    )
    looks = blob("look", "Zürich").partition("Action:\n")[2]
    answers = blob("Final Answer", ANSWER).partition("Action:\n")[2]
    model = kit.chat(when((SEEN, answers), otherwise=looks))
    return executor(create_json_chat_agent(model, [look], prompt))


# -- tool-calling --------------------------------------------------------------------------


def tool_calling(kit: Kit, first: Reply, **options: Any) -> Runnable[Any, Any]:
    model = kit.chat(after_tools(first, ANSWER))
    return executor(create_tool_calling_agent(model, [look], TOOL_CALLING), **options)


@group.row(inputs=INPUTS, answer=ANSWER, key="output", caches=False)
def tool_calling_agent(kit: Kit) -> Runnable[Any, Any]:
    return tool_calling(kit, calls("look", city="Zürich"))


@group.row(inputs=INPUTS, answer=ANSWER, key="output", caches=False)
def tool_calling_agent_with_a_text_before_the_call(kit: Kit) -> Runnable[Any, Any]:
    return tool_calling(kit, calls("look", f"{SECRET}, I have to look", city="Zürich"))


@group.row(inputs=INPUTS, answer=ANSWER, key="output", retracts="must", caches=False)
def tool_calling_agent_with_a_long_text_before_the_call(kit: Kit) -> Runnable[Any, Any]:
    thought = [f"{SECRET} ", *(f"{n} " for n in range(100))]
    return tool_calling(kit, calls("look", pieces=thought, city="Zürich"))


@group.row(inputs=INPUTS, answer=TOOL_AGENT_STOPPED, key="output", streams="never", caches=False)
def tool_calling_agent_that_never_ends(kit: Kit) -> Runnable[Any, Any]:
    looks = calls("look", SECRET, city="Zürich")
    agent = create_tool_calling_agent(kit.chat(lambda _: looks), [look], TOOL_CALLING)
    return executor(agent, max_iterations=2)


@group.row(
    inputs=INPUTS,
    answer=ANSWER,
    key="output",
    caches=False,
    options={"config": {"configurable": {"session_id": "ada"}}},
)
def react_agent_with_a_history(kit: Kit) -> Runnable[Any, Any]:
    agent = executor(create_react_agent(kit.chat(LOOKS_AND_ANSWERS), [look], REACT))
    return RunnableWithMessageHistory(
        agent, lambda session_id: InMemoryChatMessageHistory(), input_messages_key="input"
    )
