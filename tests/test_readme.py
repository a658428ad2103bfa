"""The README and the documents tell the truth: their code runs, their sessions are real."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from tests.servers import ROOT, Server, hypercorn

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


PYTHON = [(page.name, code) for page in PAGES for code in blocks(page.read_text("utf-8"), "python")]
SESSIONS = blocks(README, "console")


def paste(command: str, server: Server) -> str:
    """Do what a curl command does, on the port of `server`."""
    words = iter(shlex.split(command))
    assert next(words) == "curl"
    url, body, headers = "", "", {}
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        elif word != "-N":
            url = word.replace("http://127.0.0.1:8000", server.url)
    return httpx.post(url, content=body, headers=headers, timeout=30).text


def check_session(session: str, server: Server) -> None:
    command, _, shown = session.removeprefix("$ ").partition("\n")
    given = RUN_ID.sub("…", paste(command, server))
    assert given.rstrip("\n") == RUN_ID.sub("…", shown).rstrip("\n")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with hypercorn("examples.chat:app", tmp_path_factory.mktemp("demo")) as server:
        yield server


def test_the_quickstart_pasted_into_an_empty_file_gives_what_the_readme_says(
    tmp_path: Path,
) -> None:
    (tmp_path / "app.py").write_text(blocks(README, "python")[0], encoding="utf-8")
    with hypercorn("app:app", tmp_path, PYTHONPATH=str(tmp_path)) as server:
        check_session(SESSIONS[0], server)


@pytest.mark.parametrize("session", SESSIONS[1:], ids=[s.split()[2] for s in SESSIONS[1:]])
def test_a_session_with_the_demo_gives_what_the_readme_says(session: str, demo: Server) -> None:
    check_session(session, demo)


def test_the_demo_says_what_can_be_asked_and_each_of_it_gets_an_answer(demo: Server) -> None:
    first, *commands = httpx.get(demo.url).text.splitlines()
    assert httpx.get(first.split()[1].rstrip(",")).status_code == 200
    assert [command.split()[2].rpartition("/")[2] for command in commands] == [
        "chat",
        "qa",
        "agent",
    ]
    answers = [paste(command, demo) for command in commands]
    assert all(answer.count("event: end\n") == 1 for answer in answers)
    assert all(answer.startswith("event: completion\n") for answer in answers)
    assert "event: source_documents\n" in answers[1]
    assert "Thought" not in answers[2]


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[page for page, _ in PYTHON])
def test_a_block_of_code_runs(page: str, code: str) -> None:
    module = ModuleType(page)
    exec(compile(code, page, "exec"), module.__dict__)  # noqa: S102  # our own pages


def test_the_quickstart_is_as_short_as_it_looks() -> None:
    lines = [line for line in blocks(README, "python")[0].splitlines() if line]
    assert len(lines) <= 12


def test_the_handlers_and_settings_of_the_readme_are_all_there_are() -> None:
    from quart_lanarky.adapters.langchain import callbacks
    from quart_lanarky.settings import Settings

    named = set(re.findall(r"`(\w+CallbackHandler)`", README))
    aliases = {name for name in callbacks.__all__ if "SourceDocuments" in name}
    assert named == set(callbacks.__all__) - aliases - {"EventCallbackHandler"}
    settings = set(re.findall(r"^\| `QUART_LANARKY_(\w+)`", README, re.MULTILINE))
    assert settings == {name.upper() for name in Settings.__dataclass_fields__}


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
