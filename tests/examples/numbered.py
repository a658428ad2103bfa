"""The numbered examples: their commands to start and to paste, and the questions of the tests."""

import ast
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import ROOT, Server, hypercorn

EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))


@dataclass(frozen=True)
class Asked:
    """A route, what it is asked, and the answer."""

    path: str
    inputs: dict[str, Any]
    answer: str
    query: str = ""
    over_http: bool = True
    socket: str | None = "{path}/ws"

    @property
    def socket_path(self) -> str | None:
        """Where its WebSocket is, if it has one."""
        return self.socket and self.socket.format(path=self.path)


TOKEN = "A token is the unit of text that a language model reads and writes."
BACK_PRESSURE = "Back-pressure is the signal by which a slow consumer makes a fast producer wait."
PROXY = (
    "A proxy such as nginx that buffers responses holds back the events and hands them over all "
    "at once."
)
UNKNOWN = "I am a small local model: I know only what I am given, and nothing in it answers “Who?”."
SUM = {"messages": "What is 17 * 23, and 26.2 miles in km?"}
SUMS = "- 26.2 miles = **42.1648 km**\n- 17 * 23 = **391**"
BLUEPRINT = "A blueprint is a part of an app, with its routes."

# All routes but those behind the login of 09, which has tests of its own.
ASKED = {
    "01": [Asked("/chat", {"question": "Is Quart a framework?"}, "Quart is a web framework")],
    "02": [
        Asked("/json", {"question": "What is a token?"}, "A token is the piece of text"),
        Asked("/text", {"question": "What is a token?"}, "A token is the piece of text"),
    ],
    "03": [Asked("/chat", {"question": "Who?"}, UNKNOWN, over_http=False, socket="{path}")],
    "04": [Asked("/qa", {"question": "Why does nginx hold back events?"}, PROXY, query="?k=1")],
    "05": [Asked("/agent", {"input": "What is 17 * 23?"}, "17 * 23 = 391")],
    "06": [Asked("/agent", SUM, SUMS), Asked("/agent/eager", SUM, SUMS)],
    "07": [Asked("/chat", {"messages": "What is a token?"}, TOKEN, query="?thread=1")],
    "08": [Asked("/agent", {"messages": "What is back-pressure?"}, BACK_PRESSURE)],
    "09": [],
    "10": [
        Asked("/api/chat", {"question": "What is a blueprint?"}, BLUEPRINT),
        Asked("/qa", {"query": "What is a token?"}, TOKEN),
    ],
    "11": [Asked("/chat", {"question": "What is a token?"}, TOKEN, socket=None)],
    "12": [
        Asked("/llm", {"topic": "a token"}, TOKEN),
        Asked("/sequence", {"topic": "a token"}, TOKEN),
        Asked("/conversation", {"input": "Who?"}, UNKNOWN),
        Asked("/qa", {"query": "What is a token?"}, TOKEN),
        Asked("/follow-up", {"question": "What is a token?"}, TOKEN),
    ],
    "13": [Asked("/agent", {"messages": "My name is Ada."}, "Noted", query="?thread_id=1")],
}


def number(example: Path) -> str:
    """Return the number of an example."""
    return example.name[:2]


def numbered(wanted: str) -> Path:
    """Return the example of a number."""
    return next(example for example in EXAMPLES if number(example) == wanted)


def docstring(example: Path) -> str:
    """Return the text at the top of an example. Where a line ends in a backslash it goes on."""
    return ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""


def command(example: Path) -> list[str]:
    """Return the words of the command at the end of the first line."""
    first, *_ = docstring(example).splitlines()
    return shlex.split(first.rpartition(": ")[2])


def pasted(example: Path) -> list[str]:
    """Return the lines that the docstring says to paste."""
    return re.findall(r"^    (curl .*)$", docstring(example), re.MULTILINE)


@contextmanager
def started(example: Path, folder: Path, **environment: str) -> Iterator[Server]:
    """Start an example as its first line says; the port is the test's."""
    program, app = command(example)
    assert program == "hypercorn"
    with hypercorn(app, folder, **environment) as server:
        yield server
