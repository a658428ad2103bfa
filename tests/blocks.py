"""The fenced blocks of a Markdown page, and the programs that its Python blocks make.

A reader pastes the Python blocks of a page one below the other into `app.py`. A block that begins
with a comment naming a file (`# shop.py`) starts that file anew. Console sessions and scripts of a
browser are with the app that the page has by then; where that is one of the repository's, the page
says so in a comment: `<!-- app: examples.chat:app -->`.
"""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from textwrap import dedent

from tests.servers import ROOT, Server, hypercorn

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[\w-]*)")
INCLUDE = re.compile(r'--8<-- "([^":]+)')
NAMED_APP = re.compile(r"<!-- app: (\S+) -->")
NAMED_FILE = re.compile(r"# ([\w/]+\.py)\s")


@dataclass(frozen=True)
class Block:
    """A fenced block, where it stands, and the app that a comment above it names."""

    page: Path
    line: int
    language: str
    code: str
    app: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, those in lists, admonitions and tabs as well."""
    return list(_blocks(page, enumerate(page.read_text(encoding="utf-8").splitlines(), 1)))


def _blocks(page: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Block]:
    app = None
    for number, line in lines:
        if named := NAMED_APP.search(line):
            app = named[1]
        if opened := FENCE.match(line):
            fence, language = opened["fence"], opened["language"]
            inside = takewhile(lambda line, fence=fence: line[1].strip() != fence, lines)
            code = dedent("".join(f"{text}\n" for _, text in inside))
            if language == "python":
                app = None
            if not INCLUDE.match(code):
                yield Block(page, number, language, code, app)


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages that are in one of the languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def files(block: Block) -> dict[str, str]:
    """Return what a reader's files hold who has come as far as `block`."""
    name, found = "app.py", dict[str, str]()
    for each in blocks(block.page):
        if each.line <= block.line and each.language == "python":
            if named := NAMED_FILE.match(each.code):
                name = named[1]
                found.pop(name, None)  # to the end: this is the file that is written last
            found[name] = found.get(name, "") + each.code
    return found


def write_files(block: Block, folder: Path) -> None:
    """Write the files that a reader has at `block`."""
    for name, code in files(block).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code, encoding="utf-8")


def app(block: Block) -> str:
    """Return the app that a reader has at `block`, as the hypercorn command takes it."""
    if block.app is not None:
        return block.app
    names = [name for name, code in files(block).items() if "app" in _assigned(code)]
    assert names, f"{block}: no app is defined above"
    return f"{module_name(names[-1])}:app"


def module_name(file: str) -> str:
    """Return the name under which Python imports a file."""
    return file.removesuffix(".py").replace("/", ".")


def _assigned(code: str) -> set[str]:
    """Return the global names that a module assigns."""
    statements = [each for each in ast.parse(code).body if isinstance(each, ast.Assign)]
    targets = [target for each in statements for target in each.targets]
    return {target.id for target in targets if isinstance(target, ast.Name)}


@contextmanager
def serving(block: Block, folder: Path) -> Iterator[Server]:
    """Serve the app that a reader has at `block`, whose files are put into `folder`."""
    write_files(block, folder)
    with hypercorn(app(block), folder, cwd=folder, PYTHONPATH=f"{folder}:{ROOT}") as server:
        yield server
