"""Chains of all kinds for the tests of the adapter."""

from itertools import pairwise
from typing import Any

from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_classic.chains import LLMChain, RetrievalQA
from langchain_classic.chains.router.base import RouterChain
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.graph import MessagesState, StateGraph

from quart_lanarky.adapters.langchain.handlers.selection import ANSWER_TAG

MODEL = FakeListChatModel(responses=["hi"])
PROMPT = PromptTemplate.from_template("{question}")
LCEL = PROMPT | MODEL


class RouterTo(RouterChain):
    """Routes nowhere."""

    @property
    def input_keys(self) -> list[str]:
        raise NotImplementedError

    def _call(self, inputs: dict[str, Any], run_manager: Any = None) -> dict[str, Any]:
        raise NotImplementedError


class NoRetriever(BaseRetriever):
    def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Any]:
        return []


def qa(**options: Any) -> Runnable[Any, Any]:
    return RetrievalQA.from_chain_type(MODEL, retriever=NoRetriever(), **options)


def agent(**options: Any) -> Runnable[Any, Any]:
    prompt = PromptTemplate.from_template("{tools}{tool_names}{input}{agent_scratchpad}")
    return AgentExecutor(agent=create_react_agent(MODEL, [], prompt), tools=[], **options)


def llm_chain(**options: Any) -> LLMChain:
    return LLMChain(llm=MODEL, prompt=PROMPT, **options)


class Calling(FakeListChatModel):
    """A model that can be told of tools."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=tools)


@tool
def look(city: str) -> str:
    """Look out of the window."""
    raise NotImplementedError


def graph(*nodes: Any, checkpointer: Any = None) -> Any:
    """Make a graph of nodes in a row: by their names, or graphs."""
    builder = StateGraph(MessagesState)
    names = [node if isinstance(node, str) else "graph" for node in nodes]
    for name, node in zip(names, nodes, strict=True):
        builder.add_node(name, (lambda state: state) if isinstance(node, str) else node)
    for start, end in pairwise(["__start__", *names]):
        builder.add_edge(start, end)
    return builder.compile(checkpointer=checkpointer)


def tagged_models(chain: Any) -> int:
    """Count the tags in all that a chain is made of."""
    return repr(chain).count(ANSWER_TAG)
