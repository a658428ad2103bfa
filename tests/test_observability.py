"""The page about logs, metrics and traces: what it shows is what comes out."""

import subprocess
import sys

from tests.blocks import blocks
from tests.servers import ROOT

PYTHON = [block.code for block in blocks(ROOT / "docs" / "how-to" / "observability.md")]

ASK = """
import asyncio
from langchain_core.runnables import RunnableLambda

def fail(_):
    raise RuntimeError("no")

async def ask(app):
    lanarky = app.extensions["QUART_LANARKY"]
    lanarky.add_chain("/good", RunnableLambda(lambda text: "said " + text))
    lanarky.add_chain("/bad", RunnableLambda(fail))
    client = app.test_client()
    for path in ("/good", "/good", "/bad"):
        await (await client.post(path, json={"input": "a secret"})).get_data()
    return client
"""

SCRAPE = """
async def main():
    client = await ask(app)
    print(await (await client.get("/metrics")).get_data(as_text=True))

asyncio.run(main())
"""

TRACE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from quart import Quart
from quart_lanarky import LanarkyExtension

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
app = Quart(__name__)
LanarkyExtension(app)
asyncio.run(ask(app))
for span in exporter.get_finished_spans():
    took = span.end_time > span.start_time
    print(span.name, span.status.status_code.name, span.attributes["chain.tokens"], took)
"""

LOG = """
from quart import Quart
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
LanarkyExtension(app)
asyncio.run(ask(app))
"""


def run(*parts: str) -> str:
    command = [sys.executable, "-c", "\n".join(parts)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_metrics_of_the_docs_page_count_runs_and_tokens() -> None:
    [code] = [code for code in PYTHON if "prometheus_client" in code]
    scraped = run(code, ASK, SCRAPE).splitlines()
    assert 'chain_runs_total{outcome="finished",route="/good",transport="sse"} 2.0' in scraped
    assert 'chain_runs_total{outcome="failed",route="/bad",transport="sse"} 1.0' in scraped
    assert 'chain_runs_live{route="/good",transport="sse"} 0.0' in scraped
    assert 'chain_first_token_seconds_count{route="/good",transport="sse"} 2.0' in scraped


def test_the_traces_of_the_docs_page_are_spans_that_end_with_their_runs() -> None:
    [code] = [code for code in PYTHON if "opentelemetry" in code]
    lines = run(code, ASK, TRACE).splitlines()
    assert lines.count("chain /good UNSET 1 True") == 2
    assert lines.count("chain /bad ERROR 0 True") == 1


def test_the_log_has_one_line_per_run_without_the_prompt() -> None:
    [code] = [code for code in PYTHON if "StreamHandler" in code]
    logged = run(code, ASK, LOG)
    lines = [line for line in logged.splitlines() if line.startswith("run ") and "route /" in line]
    assert [line.split()[2].rstrip(":") for line in lines] == ["finished", "finished", "failed"]
    assert "route /good, sse, 1 tokens in" in lines[0]
    assert "(RuntimeError): route /bad" in lines[2]
    assert "a secret" not in logged
