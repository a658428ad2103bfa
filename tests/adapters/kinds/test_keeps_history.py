"""Whether a chain keeps the messages of a conversation, so that a client sends none again."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_classic.chains import ConversationChain, LLMChain
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_core.runnables.history import RunnableWithMessageHistory
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph

from quart_lanarky.adapters.langchain.kinds.chain_outputs import keeps_history
from tests.adapters.chains import LCEL, MODEL

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")


def graph(checkpointer: Any = None) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("one", lambda state: {"messages": [MODEL.invoke(state["messages"])]})
    builder.add_edge(START, "one")
    return builder.compile(checkpointer)


def agent(checkpointer: Any = None) -> Any:
    return create_agent(MODEL, [], checkpointer=checkpointer)


def history() -> Any:
    return RunnableWithMessageHistory(LCEL, InMemoryChatMessageHistory)


def functional() -> Any:
    return entrypoint(checkpointer=InMemorySaver())(len)


KEEPING = {
    "graph": lambda: graph(InMemorySaver()),
    "agent": lambda: agent(InMemorySaver()),
    "entrypoint": functional,
    "history": history,
    "memory": lambda: ConversationChain(llm=MODEL),
    "memory of a chain": lambda: LLMChain(
        llm=MODEL, prompt=LCEL.first, memory=ConversationBufferMemory()
    ),
}
WRAPPERS = {
    "alone": lambda chain: chain,
    "with config": lambda chain: chain.with_config(configurable={"thread_id": "1"}),
    "sequence": lambda chain: RunnablePassthrough() | chain | RunnableLambda(str),
    "retry": lambda chain: chain.with_retry(),
    "dict": lambda chain: RunnableParallel(answer=chain),
    "fallback": lambda chain: chain.with_fallbacks([LCEL]),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("build", KEEPING.values(), ids=KEEPING)
def test_a_chain_with_a_checkpointer_or_a_memory_keeps_the_history(build: Any, wrap: Any) -> None:
    assert keeps_history(wrap(build())) is True


@pytest.mark.parametrize(
    "build", [graph, agent, lambda: graph(False), lambda: LCEL, lambda: len, lambda: None]
)
def test_other_chains_keep_none(build: Any) -> None:
    assert keeps_history(build()) is False
