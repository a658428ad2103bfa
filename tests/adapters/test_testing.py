"""A model whose replies come from a function streams them, and calls tools as providers do."""

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from quart_lanarky.adapters.langchain.testing import FunctionChatModel


def echo(messages: list[BaseMessage]) -> str:
    return f" You said:\n{messages[-1].text} "


@tool
async def double(number: int) -> str:
    """Double a number."""
    return str(2 * number)


def ask_the_tool(messages: list[BaseMessage]) -> str | AIMessage:
    if isinstance(messages[-1], ToolMessage):
        return " and ".join(each.text for each in messages if isinstance(each, ToolMessage))
    calls = [{"name": "double", "args": {"number": n}, "id": f"call-{n}"} for n in (2, 4)]
    return AIMessage("Let me see.", tool_calls=calls)


async def test_the_reply_streams_in_words_and_is_whole() -> None:
    model = FunctionChatModel(function=echo)
    words = [chunk.text async for chunk in model.astream("Hi!") if chunk.text]
    assert words == [" You ", "said:\n", "Hi! "]
    assert [chunk.text for chunk in model.stream("Hi!") if chunk.text] == words
    assert model.invoke("Hi!").text == (await model.ainvoke("Hi!")).text == "".join(words)


def test_a_reply_without_text_is_a_reply() -> None:
    assert FunctionChatModel(function=lambda messages: "").invoke("Hi!").text == ""


def test_tool_calls_come_after_the_text() -> None:
    reply = FunctionChatModel(function=ask_the_tool).invoke("Two and four?")
    assert reply.text == "Let me see."
    assert [each["args"] for each in reply.tool_calls] == [{"number": 2}, {"number": 4}]


async def test_an_agent_calls_its_tools() -> None:
    agent: Any = create_agent(FunctionChatModel(function=ask_the_tool), [double])
    state = await agent.ainvoke({"messages": [HumanMessage("Two and four?")]})
    assert state["messages"][-1].text == "4 and 8"
