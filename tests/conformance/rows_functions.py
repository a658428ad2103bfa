"""Runnables made of functions, and of several models of which one gives the answer."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from operator import itemgetter
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    RouterRunnable,
    Runnable,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    chain,
)

from tests.conformance.models import SECRET, Kit, cut
from tests.conformance.rows import ANSWER, Group

group = Group("functions")

PROMPT = ChatPromptTemplate.from_template("{question}")
INPUTS = {"question": "Two things?"}


def speaker(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(ANSWER)


def thinker(kit: Kit, thought: str = f"{SECRET}: math") -> Runnable[Any, Any]:
    return PROMPT | kit.chat(thought, "thinker") | StrOutputParser()


# -- several models in a sequence ----------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def two_models_in_a_sequence(kit: Kit) -> Runnable[Any, Any]:
    second = ChatPromptTemplate.from_template("Improve this: {draft}")
    return {"draft": thinker(kit)} | second | kit.chat(ANSWER) | StrOutputParser()


@group.row(inputs=INPUTS, answer=ANSWER)
def a_sequence_as_a_step_of_a_sequence(kit: Kit) -> Runnable[Any, Any]:
    inner = ChatPromptTemplate.from_template("Improve this: {draft}") | kit.chat(ANSWER)
    return RunnableParallel(draft=thinker(kit)) | (inner | StrOutputParser())


@group.row(inputs=INPUTS, answer=ANSWER)
def the_same_model_thinks_and_speaks(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(lambda m: ANSWER if "Improve" in m[-1].text else f"{SECRET}: a draft")
    first = PROMPT | model | StrOutputParser()
    return {"draft": first} | ChatPromptTemplate.from_template("Improve: {draft}") | model


@group.row(inputs=INPUTS, answer=ANSWER, caches=False)
def only_the_first_model_is_cached(kit: Kit) -> Runnable[Any, Any]:
    second = ChatPromptTemplate.from_template("Improve this: {draft}")
    uncached = replace(kit, cache=None)
    return {"draft": thinker(kit)} | second | uncached.chat(ANSWER)


@group.row(inputs=INPUTS, answer=ANSWER, caches=False)
def only_the_last_model_is_cached(kit: Kit) -> Runnable[Any, Any]:
    second = ChatPromptTemplate.from_template("Improve this: {draft}")
    return {"draft": thinker(replace(kit, cache=None))} | second | kit.chat(ANSWER)


@group.row(inputs=INPUTS, answer=ANSWER)
def model_with_the_tag_nostream_in_front(kit: Kit) -> Runnable[Any, Any]:
    silent = kit.chat(f"{SECRET}: a draft", "silent").with_config(tags=["nostream"])
    return PROMPT | silent | StrOutputParser() | kit.chat(ANSWER)


# -- parallel steps ------------------------------------------------------------------------

BOTH = {"joke": "Why?\n  Because.", "poem": "Rosen sind röt…"}


def joke_and_poem(kit: Kit) -> Runnable[Any, Any]:
    joke, poem = kit.chat(BOTH["joke"], "joke"), kit.chat(BOTH["poem"], "poem")
    return RunnableParallel(
        joke=PROMPT | joke | StrOutputParser(), poem=PROMPT | poem | StrOutputParser()
    )


@group.row(inputs=INPUTS, answer=json.dumps(BOTH), structured=True, streams="never")
def parallel(kit: Kit) -> Runnable[Any, Any]:
    return joke_and_poem(kit)


@group.row(inputs=INPUTS, answer=BOTH["poem"], options={"output_key": "poem"})
def parallel_with_an_output_key(kit: Kit) -> Runnable[Any, Any]:
    return joke_and_poem(kit)


@group.row(inputs=INPUTS, answer=BOTH["poem"])
def parallel_and_pick(kit: Kit) -> Runnable[Any, Any]:
    return joke_and_poem(kit) | RunnablePick("poem")


@group.row(inputs=INPUTS, answer=BOTH["poem"], streams="never")
def parallel_and_itemgetter(kit: Kit) -> Runnable[Any, Any]:
    """The getter is a function like any other: its output is unknown."""
    return joke_and_poem(kit) | itemgetter("poem")


@group.row(inputs=INPUTS, answer=ANSWER, key="answer")
def assign(kit: Kit) -> Runnable[Any, Any]:
    return RunnablePassthrough.assign(answer=speaker(kit) | StrOutputParser())


@group.row(inputs=INPUTS, answer=ANSWER, key="answer")
def assign_after_assign(kit: Kit) -> Runnable[Any, Any]:
    thought = RunnablePassthrough.assign(thought=thinker(kit))
    return thought.assign(answer=speaker(kit) | StrOutputParser())


@group.row(
    inputs=INPUTS,
    answer=json.dumps({**INPUTS, "answer": ANSWER, "length": len(ANSWER)}),
    structured=True,
    streams="never",
)
def assign_of_two_keys(kit: Kit) -> Runnable[Any, Any]:
    return RunnablePassthrough.assign(
        answer=speaker(kit) | StrOutputParser(),
        length=speaker(kit) | (lambda message: len(message.text)),
    )


@group.row(inputs=INPUTS, answer=ANSWER, options={"output_key": "answer"})
def assign_of_two_keys_with_an_output_key(kit: Kit) -> Runnable[Any, Any]:
    return RunnablePassthrough.assign(answer=speaker(kit) | StrOutputParser(), thought=thinker(kit))


@group.row(inputs=INPUTS, answer=ANSWER)
def pick(kit: Kit) -> Runnable[Any, Any]:
    return RunnablePassthrough.assign(answer=speaker(kit), thought=thinker(kit)).pick("answer")


@group.row(inputs=INPUTS, answer=ANSWER, streams="any")
def passthrough_at_the_end(kit: Kit) -> Runnable[Any, Any]:
    return speaker(kit) | RunnablePassthrough()


# -- branches and routes -------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def branch(kit: Kit) -> Runnable[Any, Any]:
    other = PROMPT | kit.chat(SECRET, "other")
    return RunnableBranch((lambda inputs: "things" in inputs["question"], speaker(kit)), other)


@group.row(inputs=INPUTS, answer=ANSWER)
def branch_to_its_default(kit: Kit) -> Runnable[Any, Any]:
    other = PROMPT | kit.chat(SECRET, "other")
    return RunnableBranch((lambda _: False, other), speaker(kit)) | StrOutputParser()


@group.row(inputs=INPUTS, answer=ANSWER)
def branch_that_a_model_decides(kit: Kit) -> Runnable[Any, Any]:
    is_math = thinker(kit) | (lambda text: "math" in text)
    return RunnableBranch((is_math, speaker(kit)), PROMPT | kit.chat(SECRET, "other"))


@group.row(inputs=INPUTS, answer=ANSWER)
def function_that_returns_a_runnable(kit: Kit) -> Runnable[Any, Any]:
    def route(inputs: dict[str, str]) -> Runnable[Any, Any]:
        return speaker(kit) if "things" in inputs["question"] else thinker(kit)

    return RunnableLambda(route)


@group.row(inputs=INPUTS, answer=ANSWER)
def function_that_routes_by_what_a_model_said(kit: Kit) -> Runnable[Any, Any]:
    async def route(classified: dict[str, Any]) -> Runnable[Any, Any]:
        return speaker(kit) if "math" in classified["kind"] else thinker(kit)

    return {"kind": thinker(kit), "question": itemgetter("question")} | RunnableLambda(route)


@group.row(inputs={"key": "math", "input": INPUTS}, answer=ANSWER)
def router(kit: Kit) -> Runnable[Any, Any]:
    return RouterRunnable({"math": speaker(kit), "other": thinker(kit)})


# -- functions -----------------------------------------------------------------------------


@group.row(inputs="two", answer="TWO\n  (in capitals)", streams="never")
def function(kit: Kit) -> Runnable[Any, Any]:
    def shout(text: str) -> str:
        return f"{text.upper()}\n  (in capitals)"

    return RunnableLambda(shout)


@group.row(inputs="two", answer="TWO", streams="never")
def async_function(kit: Kit) -> Runnable[Any, Any]:
    async def shout(text: str) -> str:
        return text.upper()

    return RunnableLambda(shout)


@group.row(inputs="two", answer="TWO", streams="never")
def untyped_function(kit: Kit) -> Runnable[Any, Any]:
    return RunnableLambda(lambda text: text.upper())


@group.row(inputs="two", answer="3", structured=True, streams="never")
def function_that_returns_a_number(kit: Kit) -> Runnable[Any, Any]:
    return RunnableLambda(len)


@group.row(inputs=INPUTS, answer=ANSWER.upper(), streams="never")
def function_after_a_model(kit: Kit) -> Runnable[Any, Any]:
    return speaker(kit) | (lambda message: message.text.upper())


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def function_that_calls_a_model(kit: Kit) -> Runnable[Any, Any]:
    async def ask(inputs: dict[str, str]) -> BaseMessage:
        return await speaker(kit).ainvoke(inputs)

    return RunnableLambda(ask)


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def sync_function_that_calls_a_model(kit: Kit) -> Runnable[Any, Any]:
    def ask(inputs: dict[str, str]) -> str:
        return str(speaker(kit).invoke(inputs).text)

    return RunnableLambda(ask)


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def decorated_function_that_calls_two_models(kit: Kit) -> Runnable[Any, Any]:
    @chain
    async def think_and_speak(inputs: dict[str, str]) -> BaseMessage:
        await thinker(kit).ainvoke(inputs)
        return await speaker(kit).ainvoke(inputs)

    return think_and_speak


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def decorated_function_that_takes_the_config(kit: Kit) -> Runnable[Any, Any]:
    @chain
    def think_and_speak(inputs: dict[str, str], config: Any) -> str:
        thinker(kit).invoke(inputs, config)
        return str(speaker(kit).invoke(inputs, config).text)

    return think_and_speak


@group.row(inputs=INPUTS, answer=ANSWER, options={"final_tag": "speaks"})
def decorated_function_with_a_final_tag(kit: Kit) -> Runnable[Any, Any]:
    """Only the developer knows which model gives the answer, and sets a final tag."""

    @chain
    async def think_and_speak(inputs: dict[str, str]) -> BaseMessage:
        await thinker(kit).ainvoke(inputs)
        return await speaker(kit).with_config(tags=["speaks"]).ainvoke(inputs)

    return think_and_speak


# -- generators ----------------------------------------------------------------------------


@group.row(inputs="anything", answer=ANSWER, streams="always", sync_only=True)
def sync_generator(kit: Kit) -> Runnable[Any, Any]:
    def recite(chunks: Iterator[str]) -> Iterator[str]:
        yield from cut(ANSWER)

    return RunnableGenerator(recite)


@group.row(inputs="anything", answer=ANSWER, streams="always")
def async_generator(kit: Kit) -> Runnable[Any, Any]:
    async def recite(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        for piece in cut(ANSWER):
            yield piece

    return RunnableGenerator(recite)


@group.row(inputs=INPUTS, answer=ANSWER.upper(), streams="any", sync_only=True)
def sync_generator_after_a_model(kit: Kit) -> Runnable[Any, Any]:
    def shout(chunks: Iterator[str]) -> Iterator[str]:
        for chunk in chunks:
            yield chunk.upper()

    return speaker(kit) | StrOutputParser() | shout


@group.row(inputs=INPUTS, answer=ANSWER.upper(), streams="any")
def async_generator_after_a_model(kit: Kit) -> Runnable[Any, Any]:
    async def shout(messages: AsyncIterator[BaseMessage]) -> AsyncIterator[str]:
        async for message in messages:
            yield message.text.upper()

    return speaker(kit) | shout


@group.row(
    inputs=INPUTS, answer=" / ".join(ANSWER.split()), streams="always", whole_with_a_cache=True
)
def generator_that_cuts_what_a_model_said(kit: Kit) -> Runnable[Any, Any]:
    async def recut(messages: AsyncIterator[BaseMessage]) -> AsyncIterator[str]:
        text = "".join([message.text async for message in messages])
        first, *rest = text.split()
        yield first
        for word in rest:
            yield f" / {word}"

    return speaker(kit) | recut


@group.row(inputs="anything", answer=ANSWER, streams="any")
def decorated_sync_generator(kit: Kit) -> Runnable[Any, Any]:
    """This one is a function for LangChain, and has `ainvoke`."""

    @chain
    def recite(text: str) -> Iterator[str]:
        yield from cut(ANSWER)

    return recite


@group.row(inputs="anything", answer=ANSWER, streams="any")
def decorated_async_generator(kit: Kit) -> Runnable[Any, Any]:
    @chain
    async def recite(text: str) -> AsyncIterator[str]:
        for piece in cut(ANSWER):
            yield piece

    return recite
