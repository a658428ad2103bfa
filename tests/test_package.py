"""The package as a whole: its names, and what importing it costs."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from pkgutil import walk_packages

import pytest

import quart_lanarky

FOLDER = Path(quart_lanarky.__file__).parent
PATCHES = "quart_lanarky.serving.hypercorn_patches"
PROJECT = Path(__file__).parent.parent

MODULES = [m.name for m in walk_packages(quart_lanarky.__path__, "quart_lanarky.")]


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("framework", ["langchain", "langchain_core", "langgraph"])
def test_importing_the_package_imports_no_llm_framework(framework: str) -> None:
    core = [m for m in MODULES if ".adapters" not in m]
    imports = "; ".join(f"import {module}" for module in ["quart_lanarky", *core])
    assert run(f"import sys; {imports}; print({framework!r} in sys.modules)") == "False"


@pytest.mark.parametrize("framework", ["quart", "hypercorn", "langchain_core"])
def test_events_protocols_and_runs_import_no_framework(framework: str) -> None:
    rooms = ("events", "protocols", "runs", "errors")
    modules = [m for m in MODULES if m.split(".")[1] in rooms]
    imports = "; ".join(f"import {module}" for module in ["quart_lanarky", *modules])
    assert run(f"import sys; {imports}; print({framework!r} in sys.modules)") == "False"


def test_the_names_of_the_readme_can_be_imported() -> None:
    code = "from quart_lanarky import LanarkyExtension, stream_chain; print(stream_chain.__name__)"
    assert run(code) == "stream_chain"


def test_importing_the_adapter_does_not_import_classic_chains() -> None:
    code = "import sys; from quart_lanarky import stream_chain; print('langchain_classic' in "
    assert run(code + "sys.modules)") == "False"


def test_all_is_sorted_and_complete() -> None:
    assert quart_lanarky.__all__ == sorted(quart_lanarky.__all__)
    assert all(hasattr(quart_lanarky, name) for name in quart_lanarky.__all__)
    assert sorted(quart_lanarky._MODULE_OF) == quart_lanarky.__all__
    assert set(quart_lanarky.__all__) <= set(dir(quart_lanarky))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_docstring_and_a_sorted_all(module: str) -> None:
    loaded = import_module(module)
    assert loaded.__doc__
    if not hasattr(loaded, "__path__"):
        assert loaded.__all__ == sorted(loaded.__all__, key=_isort_key)
        assert all(hasattr(loaded, name) for name in loaded.__all__)


def _isort_key(name: str) -> tuple[int, str]:
    """Order as the linter does: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'stream_chains'"):
        quart_lanarky.stream_chains  # noqa: B018


# -- a server that is another --------------------------------------------------------------

WITHOUT = """
import sys
from types import ModuleType

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "wsproto" or name.startswith("hypercorn.protocol"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())

async def serve(app, config, *, shutdown_trigger=None):  # all that Quart wants of it
    raise AssertionError("nobody serves here")

sys.modules["hypercorn.asyncio"] = asyncio_module = ModuleType("hypercorn.asyncio")
asyncio_module.serve = serve
"""

APP = """
import asyncio, logging
from quart import Quart, websocket
from langchain_core.runnables import RunnableLambda
from quart_lanarky import LanarkyExtension
from quart_lanarky.testing import connect, stream

logging.basicConfig(format="%(message)s", stream=sys.stdout)
app = Quart("here")
LanarkyExtension(app).add_chain("/echo", RunnableLambda(lambda question: question))

async def main():
    async with app.test_app():
        client = app.test_client()
        question = {"input": "hello"}
        print([event.name async for event in stream(client, "/echo", json=question)][-1])
        async with connect(client, "/echo/ws") as socket:
            print([event.name async for event in socket.ask(question)][-1])

asyncio.run(main())
"""


def test_without_the_inside_of_hypercorn_chains_are_served_and_one_line_says_what_follows() -> None:
    """It is what Hypercorn has to lack for Quart to work: Quart imports its `serve`."""
    out = run(WITHOUT + APP).splitlines()
    assert out[0] == "end"
    assert out[-1] == "end"
    [line] = out[1:-1]
    assert "No module named 'hypercorn.protocol'" in line
    assert line.endswith("frames of a WebSocket are written one by one")


def test_without_the_inside_of_hypercorn_every_module_but_the_patches_is_imported() -> None:
    own = [name for name in MODULES if ".hypercorn_patches." not in name]
    imports = "; ".join(f"import {name}" for name in [*own, f"{PATCHES}.patches"])
    out = run(
        f"{WITHOUT}\n{imports}\n"
        "import logging; logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        f"from {PATCHES}.patches import patch_hypercorn; patch_hypercorn(1000)"
    )
    [line] = out.splitlines()
    assert "cannot be bounded here; let a proxy do it (No module named " in line


# -- what is imported, and what is installed -----------------------------------------------


def imported() -> Iterator[str]:
    """Give the top-level names of all modules that the package imports, wherever it does."""
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield str(node.module).partition(".")[0]


def normalized(requirement: str) -> str:
    """Return the name of a requirement, as PEP 503 has it."""
    return re.sub("[-_.]+", "-", re.split(r"[\[<>=~!; ]", requirement)[0]).lower()


@pytest.fixture(scope="module")
def declared() -> set[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return {normalized(each) for each in sum(extras, start=project["dependencies"])}


@pytest.fixture(scope="module")
def installed() -> Mapping[str, list[str]]:
    """By the names of packages the distributions that have them."""
    return packages_distributions()


THIRD_PARTY = sorted({*imported()} - sys.stdlib_module_names - {"quart_lanarky"})


@pytest.mark.parametrize("name", THIRD_PARTY)
def test_what_is_imported_is_declared_as_a_dependency(
    name: str, declared: set[str], installed: Mapping[str, list[str]]
) -> None:
    assert {normalized(each) for each in installed.get(name, [name])} & declared


def test_each_lower_bound_is_tried(declared: set[str]) -> None:
    """`.ci/lowest.txt` pins what is declared without an extra, at its bound."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (PROJECT / ".ci" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = {normalized(line): line.partition("==")[2] for line in lines if "==" in line}
    for requirement in project["dependencies"]:
        bound = requirement.partition(">=")[2]
        pin = pins[normalized(requirement)]
        assert pin == bound or pin.startswith(f"{bound}."), requirement


def leaning() -> Iterator[tuple[str, str]]:
    """Give the paths and names of the table of what we lean on."""
    guide = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, rest = guide.partition("## What we lean on\n")
    for row in re.findall(r"^\| .*`.* \|$", rest.partition("\n## ")[0], re.MULTILINE):
        _, _, _, where, held_by, _, _ = (cell.strip() for cell in row.split("|"))
        for place, name in re.findall(r"`([\w/]+(?:\.py|/))`(?:: `(\w+)`)?", where):
            yield f"quart_lanarky/{place}", name
        yield from re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", held_by)


@pytest.mark.parametrize(("place", "name"), sorted({*leaning()}))
def test_what_we_lean_on_is_where_the_guide_says(place: str, name: str) -> None:
    path = PROJECT / place
    assert path.exists()
    assert not name or f"def {name}(" in path.read_text(encoding="utf-8")


def test_the_guide_knows_the_tests_of_all_that_we_lean_on() -> None:
    assert len([place for place, _ in leaning() if place.startswith("tests/")]) > 20


def test_the_package_is_typed() -> None:
    assert (Path(quart_lanarky.__file__).parent / "py.typed").exists()
