"""The package as a whole: its names, and what importing it costs."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import quart_lanarky

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
def test_every_module_says_what_it_is_and_names_what_it_offers(module: str) -> None:
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


def test_the_package_is_typed() -> None:
    assert (Path(quart_lanarky.__file__).parent / "py.typed").exists()
