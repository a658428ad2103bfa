"""The timelines of `docs/explanation/chains.md`, drawn from real runs.

`python -m tests.conformance.timelines` brings them up to date. A column is a moment: what a model
said in it, and what left for the client. Models say a word at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from langchain.agents import create_agent
from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_classic.chains import (
    ConversationalRetrievalChain,
    LLMChain,
    MapReduceDocumentsChain,
    ReduceDocumentsChain,
    StuffDocumentsChain,
)
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.graph import MessagesState, StateGraph

from quart_lanarky import Event, EventStream
from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.options import RouteOptions
from quart_lanarky.events import COMPLETION, RETRACT, SOURCE_DOCUMENTS
from quart_lanarky.runs.registry import RunRegistry
from tests.conformance.models import Messages, Reply, StreamingChat, calls
from tests.servers import ROOT

PAGE = ROOT / "docs" / "explanation" / "chains.md"
BEGIN, END = "<!-- timelines -->", "<!-- end of timelines -->"
CLIENT = "client"
SIGNS = {RETRACT: "R", SOURCE_DOCUMENTS: "S"}


@dataclass
class Timeline:
    """What happens in a run: one sign for each lane in each moment."""

    moments: list[dict[str, str]] = field(default_factory=list)

    def note(self, lane: str, sign: str) -> None:
        """Begin a moment in which only this happens."""
        self.moments.append({lane: sign})

    def token_sent(self) -> None:
        """Count a token that is sent to the client, in the moment that caused it."""
        sent = self.moments[-1].get(CLIENT, "0")
        if sent.isdigit():
            self.moments[-1][CLIENT] = str(int(sent) + 1)
        else:
            self.note(CLIENT, "1")

    def lines(self) -> Iterator[str]:
        """Draw a line for each lane, that of the client last."""
        lanes = dict.fromkeys(lane for moment in self.moments for lane in moment)
        lanes[CLIENT] = lanes.pop(CLIENT)
        width = max(map(len, lanes)) + 2
        for lane in lanes:
            signs = "".join(moment.get(lane, " ") for moment in self.moments)
            yield f"{lane:{width}}{signs}".rstrip()


NOW: ContextVar[Timeline] = ContextVar("NOW")
"""The timeline of the run that is going on, which threads know as well."""


class RecordingModel(StreamingChat):
    """A model that records its tokens before they are passed on."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in super()._astream(*args, **kwargs):
            if chunk.text:
                NOW.get().note(self.part, "x")
            elif any(call["name"] for call in chunk.message.tool_call_chunks):
                NOW.get().note(self.part, "C")
            yield chunk


class WatchedStream(EventStream):
    """A stream that records the events sent into it."""

    async def send(self, event: Event, /) -> None:
        if event.name == COMPLETION:
            NOW.get().token_sent()
        else:
            NOW.get().note(CLIENT, SIGNS[event.name])
        await super().send(event)


async def timeline_of(chain: Runnable[Any, Any], inputs: Any, **options: Any) -> Timeline:
    """Run a chain as a route does, and return what happened in it."""
    timeline = Timeline()
    NOW.set(timeline)
    plan = RouteOptions(**options).plan_for(chain)
    stream = WatchedStream()
    handlers = [handler(stream) for handler in plan.handlers]
    run = ChainRun(plan, inputs, handlers, stream)
    async with RunRegistry().read(run) as batches:
        async for _ in batches:
            pass
    assert run.failure is None, run.reason
    timeline.note(CLIENT, "E")
    return timeline


# -- the chains ----------------------------------------------------------------------------


def model(name: str, *replies: Reply) -> BaseChatModel:
    """Return a chat model with these replies in turn, and the last one from then on."""
    left = list(replies)

    def script(messages: Messages) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    return RecordingModel(script=script, part=name, note=lambda _: None)


def words(text: str) -> Reply:
    """Return a reply that comes word by word."""
    first, *rest = text.split(" ")
    return Reply(text=text, pieces=(first, *(f" {word}" for word in rest)))


ANSWER = words("The moon pulls the sea along.")


class Shelf(BaseRetriever):
    """Finds one document."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        NOW.get().note("retriever", "=")
        return [Document("The moon pulls.")]


@tool
def look(place: str) -> str:
    """Look out of the window."""
    NOW.get().note("tool", "=")
    return "The tide is high."


def lcel() -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_template("{question}")
    return prompt | model("model", ANSWER) | StrOutputParser()


def retrieval() -> Runnable[Any, Any]:
    return ConversationalRetrievalChain.from_llm(
        model("answers", ANSWER),
        condense_question_llm=model("condenses", words("Why is there a tide?")),
        retriever=Shelf(),
        return_source_documents=True,
    )


def map_reduce() -> Runnable[Any, Any]:
    mapper, reducer = model("maps", words("One page says so.")), model("reduces", ANSWER)
    combine = LLMChain(llm=reducer, prompt=PromptTemplate.from_template("Sum up {pages}"))
    stuff = StuffDocumentsChain(llm_chain=combine, document_variable_name="pages")
    return MapReduceDocumentsChain(
        llm_chain=LLMChain(llm=mapper, prompt=PromptTemplate.from_template("Shorten {page}")),
        reduce_documents_chain=ReduceDocumentsChain(combine_documents_chain=stuff),
        document_variable_name="page",
    )


def react() -> Runnable[Any, Any]:
    prompt = PromptTemplate.from_template("{tools}\n{tool_names}\n{input}\n{agent_scratchpad}")
    replies = [
        words("Thought: I should look.\nAction: look\nAction Input: out"),
        words(f"Thought: I know.\nFinal Answer: {ANSWER.text}"),
    ]
    agent = create_react_agent(model("model", *replies), [look], prompt)
    return AgentExecutor(agent=agent, tools=[look])


def agent() -> Runnable[Any, Any]:
    thought = ("Let", " me", " look", " out", " first.")
    replies = [
        calls("look", pieces=thought[:2], place="sea"),
        calls("look", pieces=thought, place="sky"),
    ]
    return create_agent(model("model", *replies, ANSWER), [look])


def graph() -> Runnable[Any, Any]:
    drafter, reviewer = model("draft", words("The moon, say.")), model("review", ANSWER)

    async def draft(state: MessagesState) -> Any:
        return {"messages": [await drafter.ainvoke(state["messages"])]}

    async def review(state: MessagesState) -> Any:
        return {"messages": [await reviewer.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState).add_sequence([draft, review])
    return builder.add_edge("__start__", "draft").compile()


QUESTION = {"question": "Why?"}
HISTORY = QUESTION | {"chat_history": [("What pulls?", "The moon.")]}
PAGES = {"input_documents": [Document("The moon pulls."), Document("The tide follows.")]}
MESSAGES = {"messages": [("human", "Why?")]}

KINDS: list[tuple[str, Callable[[], Runnable[Any, Any]], Any, dict[str, Any]]] = [
    ("`prompt | model | StrOutputParser()`", lcel, QUESTION, {}),
    ("Retrieval that condenses the question first", retrieval, HISTORY, {}),
    ("Map-reduce over two documents; the maps run side by side", map_reduce, PAGES, {}),
    ("A ReAct agent; `Final Answer:` is two of its words", react, {"input": "Why?"}, {}),
    ("An agent that calls tools, `hold_tokens=3`", agent, MESSAGES, {"hold_tokens": 3}),
    ("A graph, `draft` and then `review`", graph, MESSAGES, {}),
]


# -- the page ------------------------------------------------------------------------------


async def drawn() -> str:
    """Return all timelines as they stand in the page."""
    parts = []
    for title, build, inputs, options in KINDS:
        timeline = await timeline_of(build(), inputs, **options)
        parts += [f"{title}:", "", "```text", *timeline.lines(), "```", ""]
    return "\n".join(parts)


async def page() -> str:
    """Return the page with its timelines drawn anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{await drawn()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(page()), encoding="utf-8")
