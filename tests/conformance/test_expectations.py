"""Expectations are verified: each row's answer is what LangChain returns without this package."""

import json
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import convert_to_messages
from langchain_core.runnables import Runnable
from langgraph.types import Command
from pydantic_core import to_jsonable_python

from tests.conformance.models import Behaviour, Cache, Kit
from tests.conformance.rows import Row, as_text
from tests.conformance.table import ROWS, each_row

pytestmark = pytest.mark.filterwarnings("ignore")  # classic chains are deprecated: no matter here


class ApiSpecs(BaseCallbackHandler):
    """Keeps what the outermost retrievers find: those that no other retriever asked."""

    run_inline = True

    def __init__(self) -> None:
        self.found: list[str] = []
        self._parents: dict[UUID, UUID | None] = {}
        self._retrievers: set[UUID] = set()

    def _start(self, *args: Any, run_id: UUID, parent_run_id: UUID | None, **kwargs: Any) -> None:
        self._parents[run_id] = parent_run_id

    on_chain_start = on_llm_start = on_chat_model_start = on_tool_start = _start

    def on_retriever_start(
        self, *args: Any, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        self._parents[run_id] = parent_run_id
        self._retrievers.add(run_id)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        parent = self._parents[run_id]
        while parent is not None and parent not in self._retrievers:
            parent = self._parents[parent]
        if parent is None:
            self.found += [found.page_content for found in documents]


async def call(row: Row, chain: Runnable[Any, Any], inputs: Any, *callbacks: Any) -> Any:
    config = {**row.options.get("config", {}), "callbacks": list(callbacks) or None}
    if row.sync_only:
        with pytest.raises(NotImplementedError):
            await chain.ainvoke(inputs, config)
        return chain.invoke(inputs, config)
    return await chain.ainvoke(inputs, config)


def answer_in(row: Row, output: Any) -> str:
    """Return the answer that the output holds, by the rules that the documentation gives."""
    key = row.options.get("output_key") or row.key
    if key is not None:
        output = output[key]
    if not isinstance(output, dict):
        return as_text(output)
    if interrupts := output.get("__interrupt__"):
        values = [to_jsonable_python(interrupt.value) for interrupt in interrupts]
        assert sorted(map(as_text, values)) == sorted(map(as_text, row.interrupts or ()))
        return row.answer
    if "structured_response" in output:
        return as_text(output["structured_response"])
    if "messages" in output:
        return as_text(convert_to_messages(output["messages"][-1:])[0])
    return as_text(output)


@each_row
@pytest.mark.parametrize("behaviour", ["stream", "whole", "sync"])
async def test_langchain_itself_gives_the_expected_answer(row: Row, behaviour: Behaviour) -> None:
    chain = row.build(Kit(behaviour))
    assert answer_in(row, await call(row, chain, row.inputs)) == row.answer
    if row.then:
        inputs, answer = row.then
        if row.interrupts is not None:
            inputs = Command(resume=inputs["resume"])
        assert answer_in(row, await call(row, chain, inputs)) == answer


@each_row
async def test_langchain_itself_finds_the_expected_documents(row: Row) -> None:
    documents = ApiSpecs()
    output = await call(row, row.build(Kit("whole")), row.inputs, documents)
    found = tuple(dict.fromkeys(documents.found))
    if row.keeps_documents:
        assert found
        assert row.documents is None
        assert "source_documents" not in output
    else:
        assert found == (row.documents or ())


@each_row
async def test_a_warm_cache_answers_every_model_call(row: Row) -> None:
    cache = Cache()
    for _ in range(2):
        kit = Kit("stream", cache)
        output = await call(row, row.build(kit), row.inputs)
        assert answer_in(row, output) == row.answer
    assert (kit.called == []) == row.caches, kit.called


@each_row
def test_the_expectations_of_a_row_are_consistent(row: Row) -> None:
    assert sum(other.id == row.id for other in ROWS) == 1
    if row.structured:
        json.loads(row.answer)
