"""The classic chains, one route each: hypercorn examples.12_classic_chains:app

What LangChain had before version 1, from the package `langchain-classic`; it warns that they are
deprecated. Each is served as it is, by one `add_chain`. Open `/playground`, or paste:

    curl -N http://127.0.0.1:8000/llm -H 'Content-Type: application/json' \
        -d '{"topic": "a token"}'

    curl -N http://127.0.0.1:8000/sequence -H 'Content-Type: application/json' \
        -d '{"topic": "a token"}'

    curl -N http://127.0.0.1:8000/qa -H 'Content-Type: application/json' \
        -d '{"query": "What is a token?"}'

    curl -N http://127.0.0.1:8000/follow-up -H 'Content-Type: application/json' \
        -d '{"question": "And what do tokens cost?", "chat_history": [["What is one?", "A word."]]}'

`/conversation` remembers the turns of a WebSocket. A chain with a memory comes from a function,
which is called for each request and for each connection: a ready one has one memory for everybody.
"""

from functools import cache
from typing import Any

from langchain_classic.chains import (
    ConversationalRetrievalChain,
    ConversationChain,
    LLMChain,
    RetrievalQA,
    SequentialChain,
)
from langchain_classic.memory import ConversationBufferWindowMemory
from langchain_core.prompts import PromptTemplate
from pydantic import BaseModel
from quart import Quart

from examples.local_model import chat_model
from examples.retrieval import LIBRARY, MarkdownRetriever
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
lanarky = LanarkyExtension(app, playground="/playground")

EXPLAIN = PromptTemplate.from_template("Context: {notes}\n\nQuestion: What is {topic}?").partial(
    notes=(LIBRARY / "tokens.md").read_text(encoding="utf-8")
)
SHORTEN = PromptTemplate.from_template("Context: {long}\n\nQuestion: Is {topic} a unit?")


class Topic(BaseModel):
    """What `/sequence` takes: its chain knows the names of its inputs, and not their types."""

    topic: str


@cache
def library() -> MarkdownRetriever:
    """Return the search over `examples/library`."""
    return MarkdownRetriever.from_folder()


def llm_chain() -> Any:
    """Fill in a prompt and ask a model."""
    return LLMChain(llm=chat_model(), prompt=EXPLAIN)


def sequence() -> Any:
    """Ask twice: the second answer is made from the first, and is the one that is streamed."""
    return SequentialChain(
        chains=[
            LLMChain(llm=chat_model(), prompt=EXPLAIN, output_key="long"),
            LLMChain(llm=chat_model(), prompt=SHORTEN, output_key="short"),
        ],
        input_variables=["topic"],
    )


def conversation() -> Any:
    """Remember the last ten turns of a connection."""
    return ConversationChain(llm=chat_model(), memory=ConversationBufferWindowMemory(k=10))


def retrieval_qa() -> Any:
    """Answer from the library, and return the documents: without that, none are sent."""
    return RetrievalQA.from_chain_type(
        chat_model(), retriever=library(), return_source_documents=True
    )


def follow_up() -> Any:
    """Do the same in a conversation; the question that stands on its own is not streamed."""
    return ConversationalRetrievalChain.from_llm(
        chat_model(), library(), return_source_documents=True
    )


lanarky.add_chain("/llm", llm_chain)
lanarky.add_chain("/sequence", sequence, input_model=Topic)
lanarky.add_chain("/conversation", conversation)
lanarky.add_chain("/qa", retrieval_qa)
lanarky.add_chain("/follow-up", follow_up)
