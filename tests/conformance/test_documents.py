"""The API docs describe the inputs, the answer and the events of each chain correctly."""

from typing import Any

import jsonschema
import pytest
from langchain_core.runnables import Runnable
from pydantic import TypeAdapter

from quart_lanarky.adapters.langchain.inputs.fields import Fields
from quart_lanarky.adapters.langchain.kinds.chain_inputs import chain_inputs
from quart_lanarky.adapters.langchain.kinds.chain_outputs import answer_type, may_retrieve
from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.describe import ChainDescriber
from quart_lanarky.adapters.langchain.service.options import RouteOptions
from quart_lanarky.events import END, SOURCE_DOCUMENTS, Event
from quart_lanarky.protocols.base import RouteDescription
from quart_lanarky.protocols.native.encode import encode
from quart_lanarky.runs.stream import EventStream
from tests.conformance.models import Kit
from tests.conformance.rows import Row, as_body
from tests.conformance.rows_models import Plan
from tests.conformance.table import ROWS, each_row
from tests.runs.reading import events_of

pytestmark = pytest.mark.filterwarnings("ignore")  # classic chains are deprecated: no matter here


def built(row: Row) -> Runnable[Any, Any]:
    return row.build(Kit("whole"))


def described(row: Row, chain: Runnable[Any, Any]) -> RouteDescription:
    options = RouteOptions(**row.options)
    describer = ChainDescriber(lambda: chain, Fields({}), options, "chain")
    return describer.describe(chain, over_websocket=False)


async def served(row: Row, chain: Runnable[Any, Any]) -> tuple[Any, list[Event]]:
    """Return the answer in the JSON response, and the events of the stream."""
    plan = RouteOptions(**row.options).plan_for(chain)
    stream = EventStream()
    handlers = [handler(stream) for handler in plan.handlers]
    inputs = chain_inputs(chain).for_chain(as_body(row.inputs))
    config = row.options.get("config")
    run = ChainRun(plan, inputs, handlers, stream, config=config)
    events = await events_of(run)
    return run.output(), events


@each_row
async def test_answer_and_events_match_the_api_docs(row: Row) -> None:
    chain = built(row)
    description = described(row, chain)
    answer, events = await served(row, chain)
    assert answer == row.output
    if row.interrupts is not None:
        assert "interrupt" in description.events
        return
    _judge(answer, description.output)
    if "output_key" not in row.options:
        _judge(answer, answer_type(chain))
    for event in events:
        if event.name != END:
            _judge(encode(event, "json").json(), description.events[event.name])
    if not may_retrieve(chain):
        assert SOURCE_DOCUMENTS not in {event.name for event in events} | set(description.events)


def _judge(value: Any, kind: Any) -> None:
    jsonschema.validate(value, TypeAdapter(kind).json_schema(mode="serialization"))


@each_row
def test_the_inputs_match_the_api_docs(row: Row) -> None:
    description = described(row, built(row))
    jsonschema.validate(as_body(row.inputs), description.body.json_schema())


def test_the_inputs_or_output_of_many_kinds_are_described() -> None:
    """Otherwise the other tests of this file would show nothing."""
    chains = {row.id: built(row) for row in ROWS if not row.is_missing}
    types = {name: answer_type(chain) for name, chain in chains.items()}
    silent = {name for name, chain in chains.items() if not may_retrieve(chain)}
    assert types["pydantic-parser"] is Plan
    assert sum(kind is str for kind in types.values()) > len(ROWS) / 5
    assert len(silent) > len(ROWS) / 6
    assert not silent & {row.id for row in ROWS if row.documents or row.keeps_documents}
