"""Chains that functions make and call, and what else people do with runnables."""

import json
from collections.abc import AsyncIterator
from operator import itemgetter
from typing import Any

from langchain.agents import create_agent
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    chain,
)
from langchain_core.tools import tool
from langgraph.graph import MessagesState
from typing_extensions import TypedDict

from tests.conformance.models import SECRET, Kit, Reply, after_tools, calls, cut
from tests.conformance.rows import ANSWER, Group
from tests.conformance.rows_retrieval import FOUND, Shelf

group = Group("idioms")

PROMPT = ChatPromptTemplate.from_template("{question}")
INPUTS = {"question": "Two things?"}


class Asked(TypedDict):
    """What a retrieval chain takes."""

    input: str


class Question(TypedDict):
    """What the prompt takes."""

    question: str


MESSAGES = {"messages": [{"role": "user", "content": "What is it like?"}]}


def looking_agent(kit: Kit) -> Runnable[Any, Any]:
    @tool
    def look(city: str) -> str:
        """Look out of the window."""
        return f"{SECRET}: rain"

    thought = calls("look", text=f"{SECRET}, let me see", city="Zürich")
    return create_agent(kit.chat(after_tools(thought, ANSWER)), [look])


@group.row(inputs=MESSAGES, answer=ANSWER)
def function_that_returns_an_agent(kit: Kit) -> Runnable[Any, Any]:
    def route(state: MessagesState) -> Runnable[Any, Any]:
        return looking_agent(kit)

    return RunnableLambda(route)


@group.row(inputs={"input": "Why?"}, answer=ANSWER, key="answer", documents=FOUND)
def function_that_returns_a_retrieval_chain(kit: Kit) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_template("{input} {context}")

    def route(asked: Asked) -> Runnable[Any, Any]:
        found = itemgetter("input") | Shelf()
        return RunnablePassthrough.assign(context=found).assign(answer=prompt | kit.chat(ANSWER))

    return RunnableLambda(route)


@group.row(inputs=MESSAGES, answer=ANSWER, key="answer")
def assign_of_an_agent(kit: Kit) -> Runnable[Any, Any]:
    return RunnablePassthrough.assign(answer=looking_agent(kit))


@group.row(inputs=MESSAGES, answer=ANSWER)
def branch_of_an_agent_and_a_model(kit: Kit) -> Runnable[Any, Any]:
    return RunnableBranch(
        (lambda state: not state["messages"], itemgetter("messages") | kit.chat(SECRET)),
        looking_agent(kit),
    )


@group.row(inputs=INPUTS, answer=ANSWER, streams="never", caches=False)
def function_that_follows_the_events_of_a_chain(kit: Kit) -> Runnable[Any, Any]:
    """Of several handlers that want to see the chunks, LangChain asks only the first."""
    inner = PROMPT | kit.chat(ANSWER) | StrOutputParser()

    @chain
    async def follow(inputs: Question) -> str:
        events = inner.astream_events(inputs, version="v2")
        chunks = [e["data"]["chunk"] async for e in events if e["event"] == "on_parser_stream"]
        return "".join(chunks)

    return follow


@group.row(
    inputs=INPUTS,
    answer=json.dumps({"error": "sorry"}),
    structured=True,
    streams="never",
    retracts="may",
)
def fallback_without_the_key_of_the_answer(kit: Kit) -> Runnable[Any, Any]:
    broken = kit.chat(lambda _: Reply(f"{SECRET}: I was saying", fails=True), "broken")
    return RunnablePassthrough.assign(answer=PROMPT | broken).with_fallbacks(
        [RunnableLambda(lambda _: {"error": "sorry"})]
    )


class Shout(RunnableBinding[Any, Any]):
    """A user's class that changes the output of the chain."""

    async def ainvoke(self, *args: Any, **kwargs: Any) -> str:
        return str((await super().ainvoke(*args, **kwargs)).text).upper()


@group.row(inputs=INPUTS, answer=ANSWER.upper(), streams="any", retracts="may")
def chain_of_a_class_that_changes_the_output(kit: Kit) -> Runnable[Any, Any]:
    return Shout(bound=PROMPT | kit.chat(ANSWER))


@group.row(inputs="Two things?", answer=ANSWER, streams="any")
def retry_in_front_of_an_llm(kit: Kit) -> Runnable[Any, Any]:
    """Streaming the chain would lose the second try."""
    tries = iter([RuntimeError(), "Two things?"])

    def find(_: object) -> str:
        found = next(tries, "Two things?")
        if isinstance(found, Exception):
            raise found
        return found

    found = RunnableLambda(find).with_retry(wait_exponential_jitter=False)
    return RunnableParallel(question=found) | PROMPT | kit.llm(ANSWER)


class Reciter:
    """A callable object that yields."""

    async def __call__(self, question: str) -> AsyncIterator[str]:
        for piece in cut(ANSWER):
            yield piece


@group.row(inputs="anything", answer=ANSWER, streams="always")
def callable_object_that_yields(kit: Kit) -> Runnable[Any, Any]:
    return RunnableLambda(Reciter())
