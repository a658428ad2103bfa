"""Chains that retrieve: their answer, and their documents once, after it."""

from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any

import numpy as np
from langchain_classic.chains import (
    ConversationalRetrievalChain,
    RetrievalQA,
    RetrievalQAWithSourcesChain,
    create_history_aware_retriever,
    create_retrieval_chain,
)
from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import LLMChainExtractor
from langchain_classic.retrievers.multi_query import MultiQueryRetriever
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnablePassthrough

from tests.conformance.models import SECRET, Kit, when
from tests.conformance.rows import ANSWER, Group

group = Group("retrieval")

MOON, TIDE, SHIP = "The moon pulls.", "The tide follows\n  the moon.", "Ships wait for it."
SHELF = (
    Document(MOON, metadata={"source": "moon.md"}),
    Document(TIDE, metadata={"source": "tide.md"}),
)
FOUND = (MOON, TIDE)
PROMPT = ChatPromptTemplate.from_template("From {context} answer {question}")
ASKED = {"question": "Why is there a tide?"}
CONDENSED = f"{SECRET}: why is there a tide?"


class Shelf(BaseRetriever):
    """Finds all that stands on it, whatever is asked; with `needle`, only when that is asked."""

    documents: tuple[Document, ...] = SHELF
    needle: str = ""

    def _get_relevant_documents(self, query: str, *, run_manager: object) -> list[Document]:
        return list(self.documents) if self.needle in query else []


def joined(documents: list[Document]) -> str:
    return "\n".join(document.page_content for document in documents)


def lcel(kit: Kit, retriever: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Answer from the documents and drop them, as the tutorials do."""
    context = itemgetter("question") | retriever | joined
    inputs = {"context": context, "question": itemgetter("question")}
    return inputs | PROMPT | kit.chat(ANSWER) | StrOutputParser()


# -- LCEL ----------------------------------------------------------------------------------


@group.row(inputs=ASKED, answer=ANSWER, documents=FOUND)
def retriever(kit: Kit) -> Runnable[Any, Any]:
    return lcel(kit, Shelf())


@group.row(inputs="Why is there a tide?", answer=ANSWER, documents=FOUND)
def retriever_of_a_bare_question(kit: Kit) -> Runnable[Any, Any]:
    inputs = {"context": Shelf() | joined, "question": RunnablePassthrough()}
    return inputs | PROMPT | kit.chat(ANSWER)


@group.row(inputs=ASKED, answer=ANSWER, documents=())
def retriever_that_finds_nothing(kit: Kit) -> Runnable[Any, Any]:
    return lcel(kit, Shelf(documents=()))


@group.row(inputs=ASKED, answer=ANSWER, documents=FOUND)
def retriever_that_finds_one_document_twice(kit: Kit) -> Runnable[Any, Any]:
    return lcel(kit, Shelf(documents=(*SHELF, SHELF[0])))


@group.row(inputs=ASKED, answer=ANSWER, documents=(MOON, TIDE, SHIP))
def two_retrievers_that_overlap(kit: Kit) -> Runnable[Any, Any]:
    other = Shelf(documents=(SHELF[1], Document(SHIP)))
    first = RunnablePassthrough.assign(near=itemgetter("question") | Shelf())
    both = first.assign(context=itemgetter("question") | other)
    return both | PROMPT | kit.chat(ANSWER) | StrOutputParser()


@group.row(
    inputs=ASKED,
    answer=ANSWER,
    documents=(MOON,),
    metadata=(
        {
            "day": "1969-07-20",
            "landed": "1969-07-20T20:17:40Z",
            "image": "iVBORw==",
            "score": 0.5,
            "small": 0.25,
            "page": 3,
            "unknown": None,
        },
    ),
)
def metadata_that_json_has_no_types_for(kit: Kit) -> Runnable[Any, Any]:
    metadata = {
        "day": date(1969, 7, 20),
        "landed": datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC),
        "image": b"\x89PNG",
        "score": np.float64(0.5),
        "small": np.float32(0.25),
        "page": np.int64(3),
        "unknown": float("nan"),
    }
    return lcel(kit, Shelf(documents=(Document(MOON, metadata=metadata),)))


# -- retrievers that call a model ----------------------------------------------------------


@group.row(inputs=ASKED, answer=ANSWER, documents=(MOON, TIDE))
def multi_query_retriever(kit: Kit) -> Runnable[Any, Any]:
    """Its three questions find the same documents, which it tells apart itself."""
    queries = kit.chat(f"{SECRET} one?\n{SECRET} two?\n{SECRET} three?", "queries")
    return lcel(kit, MultiQueryRetriever.from_llm(Shelf(needle=SECRET), queries))


@group.row(inputs=ASKED, answer=ANSWER, documents=("The moon",))
def compressing_retriever(kit: Kit) -> Runnable[Any, Any]:
    """What the model kept of the documents is what was retrieved."""
    extractor = LLMChainExtractor.from_llm(kit.chat("The moon", "extractor"))
    shelf = Shelf(documents=(SHELF[0],))
    return lcel(
        kit, ContextualCompressionRetriever(base_compressor=extractor, base_retriever=shelf)
    )


# -- the functions that make retrieval chains ----------------------------------------------

STUFF = ChatPromptTemplate.from_messages(
    [("system", "From {context} answer."), ("human", "{input}")]
)
CONDENSE = ChatPromptTemplate.from_messages(
    [MessagesPlaceholder("chat_history"), ("human", "{input}"), ("human", "Condense.")]
)
HISTORY = [
    {"role": "user", "content": "What pulls?"},
    {"role": "assistant", "content": "The moon."},
]


@group.row(inputs={"input": "Why?"}, answer=ANSWER, documents=FOUND, key="answer")
def retrieval_chain(kit: Kit) -> Runnable[Any, Any]:
    return create_retrieval_chain(Shelf(), create_stuff_documents_chain(kit.chat(ANSWER), STUFF))


@group.row(
    inputs={"input": "Why?"},
    answer=ANSWER,
    documents=(),
    options={"output_key": "answer"},
)
def retrieval_chain_that_finds_nothing(kit: Kit) -> Runnable[Any, Any]:
    stuff = create_stuff_documents_chain(kit.chat(ANSWER), STUFF)
    return create_retrieval_chain(Shelf(documents=()), stuff)


def history_aware_chain(kit: Kit, shelf: Shelf) -> Runnable[Any, Any]:
    condenser = kit.chat(CONDENSED, "condenser")
    aware = create_history_aware_retriever(condenser, shelf, CONDENSE)
    return create_retrieval_chain(aware, create_stuff_documents_chain(kit.chat(ANSWER), STUFF))


@group.row(
    inputs={"input": "Why?", "chat_history": HISTORY},
    answer=ANSWER,
    documents=FOUND,
    key="answer",
)
def history_aware_retriever(kit: Kit) -> Runnable[Any, Any]:
    return history_aware_chain(kit, Shelf(needle=SECRET))


@group.row(
    inputs={"input": "Why?", "chat_history": []}, answer=ANSWER, documents=FOUND, key="answer"
)
def history_aware_retriever_without_history(kit: Kit) -> Runnable[Any, Any]:
    return history_aware_chain(kit, Shelf(needle="Why?"))


# -- RetrievalQA ---------------------------------------------------------------------------

REFINES = when(
    ("refine the existing answer", ANSWER),
    ("We have provided an existing answer", ANSWER),
    otherwise=f"{SECRET}: a first answer",
)
MAPS = when(
    ("Use the following portion", f"{SECRET}: relevant text"),
    otherwise=ANSWER,
)
RANKS = when((MOON, f"{SECRET}: no idea\nScore: 20"), otherwise="The moon pulls it.\nScore: 95")


def retrieval_qa(model: Any, kind: str = "stuff", **options: Any) -> Runnable[Any, Any]:
    options = {"return_source_documents": True, **options}
    return RetrievalQA.from_chain_type(model, chain_type=kind, retriever=Shelf(), **options)


@group.row(inputs={"query": "Why?"}, answer=ANSWER, documents=FOUND, key="result")
def retrieval_qa_stuff(kit: Kit) -> Runnable[Any, Any]:
    return retrieval_qa(kit.chat(ANSWER))


@group.row(inputs={"query": "Why?"}, answer=ANSWER, documents=FOUND, key="result", streams="any")
def retrieval_qa_stuff_llm(kit: Kit) -> Runnable[Any, Any]:
    return retrieval_qa(kit.llm(ANSWER))


@group.row(inputs={"query": "Why?"}, answer=ANSWER, key="result", keeps_documents=True)
def retrieval_qa_without_documents(kit: Kit) -> Runnable[Any, Any]:
    return retrieval_qa(kit.chat(ANSWER), return_source_documents=False)


@group.row(inputs={"query": "Why?"}, answer=ANSWER, documents=FOUND, key="result")
def retrieval_qa_map_reduce(kit: Kit) -> Runnable[Any, Any]:
    return retrieval_qa(kit.chat(MAPS), "map_reduce")


@group.row(inputs={"query": "Why?"}, answer=ANSWER, documents=FOUND, key="result", streams="never")
def retrieval_qa_refine(kit: Kit) -> Runnable[Any, Any]:
    return retrieval_qa(kit.chat(REFINES), "refine")


@group.row(
    inputs={"query": "Why?"},
    answer="The moon pulls it.",
    documents=FOUND,
    key="result",
    streams="never",
)
def retrieval_qa_map_rerank(kit: Kit) -> Runnable[Any, Any]:
    return retrieval_qa(kit.chat(RANKS), "map_rerank")


# -- RetrievalQAWithSourcesChain -----------------------------------------------------------

SOURCED = f"{ANSWER}\nSOURCES: moon.md, tide.md"
CITES = {
    "stuff": lambda _: SOURCED,
    "map_reduce": when(("Use the following portion", f"{SECRET}: text"), otherwise=SOURCED),
    "refine": when(("existing answer", SOURCED), otherwise=f"{SECRET}: a first answer"),
}


def with_sources(kit: Kit, kind: str, **options: Any) -> Runnable[Any, Any]:
    return RetrievalQAWithSourcesChain.from_chain_type(
        kit.chat(CITES[kind]), chain_type=kind, retriever=Shelf(), **options
    )


@group.row(
    inputs=ASKED,
    answer=f"{ANSWER}\n",
    documents=FOUND,
    key="answer",
    streams="any",
)
def with_sources_stuff(kit: Kit) -> Runnable[Any, Any]:
    return with_sources(kit, "stuff", return_source_documents=True)


@group.row(inputs=ASKED, answer=f"{ANSWER}\n", key="answer", streams="any", keeps_documents=True)
def with_sources_without_documents(kit: Kit) -> Runnable[Any, Any]:
    return with_sources(kit, "stuff")


@group.row(
    inputs=ASKED,
    answer=f"{ANSWER}\n",
    documents=FOUND,
    key="answer",
    streams="any",
)
def with_sources_map_reduce(kit: Kit) -> Runnable[Any, Any]:
    return with_sources(kit, "map_reduce", return_source_documents=True)


@group.row(
    inputs=ASKED,
    answer=f"{ANSWER}\n",
    documents=FOUND,
    key="answer",
    streams="never",
)
def with_sources_refine(kit: Kit) -> Runnable[Any, Any]:
    return with_sources(kit, "refine", return_source_documents=True)


# -- ConversationalRetrievalChain ----------------------------------------------------------


def conversational(kit: Kit, **options: Any) -> Runnable[Any, Any]:
    return ConversationalRetrievalChain.from_llm(
        kit.chat(ANSWER),
        condense_question_llm=kit.chat(CONDENSED, "condenser"),
        retriever=Shelf(),
        **options,
    )


@group.row(
    inputs={"question": "Why?", "chat_history": [("What pulls?", "The moon.")]},
    answer=ANSWER,
    documents=FOUND,
    key="answer",
)
def conversational_retrieval(kit: Kit) -> Runnable[Any, Any]:
    return conversational(kit, return_source_documents=True)


@group.row(
    inputs={"question": "Why?", "chat_history": []},
    answer=ANSWER,
    documents=FOUND,
    key="answer",
)
def conversational_retrieval_without_history(kit: Kit) -> Runnable[Any, Any]:
    return conversational(kit, return_source_documents=True)


@group.row(
    inputs={"question": "Why?", "chat_history": [("What pulls?", "The moon.")]},
    answer=ANSWER,
    documents=FOUND,
    key="answer",
)
def conversational_retrieval_with_one_model(kit: Kit) -> Runnable[Any, Any]:
    """The model that condenses is the model that answers, as most people write it."""
    return ConversationalRetrievalChain.from_llm(
        kit.chat(when(("standalone", CONDENSED), otherwise=ANSWER)),
        retriever=Shelf(),
        return_source_documents=True,
    )


@group.row(
    inputs={"question": "Why?", "chat_history": [("What pulls?", "The moon.")]},
    answer=ANSWER,
    key="answer",
    keeps_documents=True,
)
def conversational_retrieval_without_documents(kit: Kit) -> Runnable[Any, Any]:
    return conversational(kit)


@group.row(
    inputs={"question": "Why?", "chat_history": [("What pulls?", "The moon.")]},
    answer="Why is there a tide?",
    options={"output_key": "generated_question"},
    documents=FOUND,
    streams="any",
)
def conversational_retrieval_asked_for_its_question(kit: Kit) -> Runnable[Any, Any]:
    """What usually stays inside is here the answer, and the answer stays inside."""
    return ConversationalRetrievalChain.from_llm(
        kit.chat(SECRET),
        condense_question_llm=kit.chat("Why is there a tide?", "condenser"),
        retriever=Shelf(),
        return_source_documents=True,
        return_generated_question=True,
    )
