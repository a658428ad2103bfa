"""Answers with their sources: hypercorn examples.04_retrieval:app

The tokens of the answer come first, then `source_documents` with what was retrieved. `k`, a
parameter of the function, is a parameter of the query string. Open `/playground`, or paste:

    curl -N 'http://127.0.0.1:8000/qa?k=2' -H 'Content-Type: application/json' \
        -d '{"question": "Why does nginx hold back my events?"}'

Replace `MarkdownRetriever` by a retriever of your own, such as `vector_store.as_retriever()`.
"""

from functools import cache
from operator import itemgetter
from typing import Annotated, Any

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from pydantic import Field
from quart import Quart

from examples.local_model import chat_model
from examples.retrieval import MarkdownRetriever
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
lanarky = LanarkyExtension(app, playground="/playground")

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from the context alone.\n\nContext:\n\n{sections}"),
        ("human", "{question}"),
    ]
)

Sections = Annotated[int, Field(ge=1, le=10, description="How many sections to read.")]


@cache
def library() -> MarkdownRetriever:
    """Return the search over `examples/library`; the index is built once, at the first question."""
    return MarkdownRetriever.from_folder()


def sections(found: dict[str, list[Document]]) -> str:
    """Put the documents into one text for the prompt."""
    return "\n\n".join(document.page_content for document in found["context"])


def answer_from_library(k: Sections = 3) -> Runnable[Any, Any]:
    """Answer from the sections of the library that fit the question best."""
    search = library().model_copy(update={"k": k})
    return (
        RunnablePassthrough.assign(context=itemgetter("question") | search)
        | RunnablePassthrough.assign(sections=sections)
        | RunnablePassthrough.assign(answer=PROMPT | chat_model())
    )


lanarky.add_chain("/qa", answer_from_library)
