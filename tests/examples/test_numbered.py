"""Every numbered example starts by its command, and its routes conform to its API specs."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.sse import Decoder
from quart_lanarky.testing import answer_of
from tests.contract.judge import chain_operations, channel_addresses, judge_turn
from tests.contract.recording import ApiSpecs, fetch_documents, record, record_turns
from tests.examples.numbered import ASKED, EXAMPLES, Asked, command, number, pasted, started
from tests.servers import ROOT, Server

MOST_LINES = 135  # two screens; a page in HTML, CSS and JavaScript may have twice that


@dataclass(frozen=True)
class Running:
    """An example that is served."""

    example: Path
    server: Server
    documents: ApiSpecs

    @property
    def asked(self) -> list[Asked]:
        """What its routes are asked."""
        return ASKED[number(self.example)]


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda example: example.stem)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(request.param.stem)
    with started(request.param, folder, LANARKY_DELAY="0.002") as server:
        yield Running(request.param, server, fetch_documents(server))


def test_each_number_is_used_once() -> None:
    assert [number(example) for example in EXAMPLES] == [f"{n:02}" for n in range(1, 14)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_has_its_name_in_its_command_and_is_short(example: Path) -> None:
    program, app = command(example)
    assert (program, app.partition(":")[0]) == ("hypercorn", f"examples.{example.stem}")
    lines = len(example.read_text(encoding="utf-8").splitlines())
    assert lines <= (2 * MOST_LINES if number(example) == "11" else MOST_LINES)


def test_the_examples_page_and_the_readme_list_all_examples() -> None:
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [example.name for example in EXAMPLES]
    assert re.findall(r'--8<-- "examples/(\w+\.py)"', page) == names
    assert re.findall(r"^\| \[\w+\]\(examples/(\w+\.py)\)", readme, re.MULTILINE) == names


def test_the_api_specs_are_valid_and_these_tests_cover_all_routes(
    running: Running,
) -> None:
    documents = running.documents
    validate(documents.openapi)
    if number(running.example) == "09":
        return
    operations = {path for _, path in chain_operations(documents.openapi)}
    assert operations == {each.path for each in running.asked if each.over_http}
    channels = {each.socket_path for each in running.asked} - {None}
    assert set(channel_addresses(documents.asyncapi)) == channels


async def test_each_route_answers_over_http_as_documented(running: Running) -> None:
    async def ask(asked: Asked) -> None:
        recorded = await asyncio.to_thread(
            record, running.server, "post", asked.path, asked.inputs, query=asked.query
        )
        assert (recorded.status, recorded.judged_by(running.documents.openapi)) == (200, [])
        check_answer(asked, Decoder().feed(recorded.body))

    await asyncio.gather(*(ask(asked) for asked in running.asked if asked.over_http))


async def test_each_route_answers_over_a_websocket_as_documented(running: Running) -> None:
    async def ask(asked: Asked, path: str) -> None:
        inputs = json.dumps(asked.inputs)
        (turn,) = await record_turns(running.server, path, inputs, query=asked.query)
        assert judge_turn(running.documents.asyncapi, path, turn) == []
        check_answer(asked, map(event_of, turn))

    asked = [(each, each.socket_path) for each in running.asked]
    await asyncio.gather(*(ask(each, path) for each, path in asked if path is not None))


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: nothing is pasted")
def test_the_commands_of_an_example_get_an_answer(running: Running, tmp_path: Path) -> None:
    for line in pasted(running.example):  # one after the other: they may remember
        words = line.replace("http://127.0.0.1:8000", running.server.url)
        shell = ["sh", "-c", f"{words} --fail-with-body --silent --show-error"]
        done = subprocess.run(
            shell, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        assert "event: error" not in done.stdout
        answered = re.search("^event: (completion|interrupt)$", done.stdout, re.MULTILINE)
        assert answered or " -N " not in words, done.stdout


def test_all_examples_but_the_websocket_chat_have_a_command_to_paste() -> None:
    silent = [number(example) for example in EXAMPLES if not pasted(example)]
    assert silent == ["03"]


def check_answer(asked: Asked, events: Iterable[EncodedEvent]) -> None:
    answer = answer_of(events, "text" if asked.path == "/text" else "json")
    assert answer.startswith(asked.answer), asked.path


def event_of(frame: str) -> EncodedEvent:
    content = json.loads(frame)
    name, data = content["event"], content["data"]
    return EncodedEvent(name, data if isinstance(data, str) else json.dumps(data))
