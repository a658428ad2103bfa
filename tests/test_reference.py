"""The pages of the reference have all that the code has, and nothing else."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

import quart_lanarky
from examples.chat import app
from quart_lanarky import events, testing
from quart_lanarky.adapters.langchain import callbacks
from quart_lanarky.adapters.langchain import testing as langchain_testing
from quart_lanarky.adapters.langchain.routing import chain_blueprint
from quart_lanarky.adapters.langchain.service.options import ChainOptions, RouteOptions
from quart_lanarky.protocols.sse import Decoder
from quart_lanarky.settings import SETTING_KEYS, Settings
from tests.blocks import all_blocks
from tests.command_line import options_of
from tests.servers import ROOT

REFERENCE = ROOT / "docs" / "reference"
INSTALL = ROOT / "docs" / "install.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SETTING = re.compile(r"^\| `(QUART_LANARKY_\w+)` \| `([^`]+)`", re.MULTILINE)
OPTION_ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| `([^`]+)` \|", re.MULTILINE)
PUBLIC_MODULES = [quart_lanarky, callbacks, testing, langchain_testing]


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/reference/settings.md"])
def test_each_table_of_settings_has_all_settings_with_their_defaults(page: str) -> None:
    defaults = {SETTING_KEYS[field.name]: _literal(field.default) for field in fields(Settings)}
    assert dict(SETTING.findall(read(ROOT / page))) == defaults


def test_each_setting_has_a_section() -> None:
    told = re.findall(r"^\*\*`(\w+)`\*\*", read(REFERENCE / "settings.md"), re.MULTILINE)
    assert sorted(told) == sorted(SETTING_KEYS.values())


def test_the_api_page_has_each_public_name_once() -> None:
    names = {f"{each.__name__}.{name}" for each in PUBLIC_MODULES for name in each.__all__}
    decoder = f"{Decoder.__module__}.{Decoder.__name__}"  # the codec has more, for protocols
    assert sorted(_shown_names()) == sorted(names | _payloads() | {decoder})


def test_the_api_page_has_each_name_that_another_page_imports() -> None:
    statements = (node for each in all_blocks("python") for node in ast.walk(ast.parse(each.code)))
    imports = [each for each in statements if isinstance(each, ast.ImportFrom) and each.module]
    used = {f"{each.module}.{alias.name}" for each in imports for alias in each.names}
    assert {name for name in used if name.startswith("quart_lanarky")} <= set(_shown_names())


def test_the_tables_of_options_have_all_options_with_their_defaults() -> None:
    common, _, own = read(REFERENCE / "options.md").partition("## `add_chain` only")
    keywords = signature(chain_blueprint).parameters.values()
    defaults = {each.name: each.default for each in keywords if each.kind is each.KEYWORD_ONLY}
    assert dict(OPTION_ROW.findall(own)) == {k: _literal(v) for k, v in defaults.items()}
    assert [name for name, _ in OPTION_ROW.findall(common)] == [*ChainOptions.__annotations__]
    route = {each.name: _literal(each.default) for each in fields(RouteOptions)}
    assert dict(OPTION_ROW.findall(common)) == route


def test_the_command_line_page_has_all_commands_and_options() -> None:
    page = read(REFERENCE / "command-line.md").partition("## `hypercorn`")[0]
    lanarky = app.cli.commands["lanarky"]
    assert isinstance(lanarky, click.Group)
    shown = re.findall(r"^\| `quart lanarky (\w+)`", page, re.MULTILINE)
    assert sorted(shown) == sorted(lanarky.commands)
    options = {option for each in lanarky.commands.values() for option in _options(each)}
    own = re.findall(r"^\| (`-.*?) \| (?!`quart`)`", page, re.MULTILINE)
    assert set(re.findall(r"`(-[\w-]+)`", " ".join(own))) == options


def test_the_documented_hypercorn_options_exist() -> None:
    section = read(REFERENCE / "command-line.md").partition("## `hypercorn`")[2]
    assert set(re.findall(r"`(--?[\w-]+)`", section)) <= options_of("hypercorn")


def test_the_documented_make_targets_are_complete() -> None:
    shown = re.findall(r"^\| `make (\w+)`", read(REFERENCE / "command-line.md"), re.MULTILINE)
    phony = re.findall(r"^\.PHONY: (.*)", read(ROOT / "Makefile"), re.MULTILINE)[0].split()
    assert sorted(["help", *shown]) == sorted(phony)


def test_the_page_about_installing_has_all_extras() -> None:
    extras = read(INSTALL).partition("## Extras")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| `(\w+)` \|", extras, re.MULTILINE)
    assert sorted(shown) == sorted(PROJECT["optional-dependencies"])


def test_the_supported_versions_are_those_of_the_package() -> None:
    shown = re.findall(r"^\| `?([\w-]+)`? \| ([\d.]+) or newer", read(INSTALL), re.MULTILINE)
    required = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["classic"]]
    bounds = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?>=([\d.]+)", "\n".join(required), re.MULTILINE))
    bounds["Python"] = PROJECT["requires-python"].removeprefix(">=")
    assert shown == [(name, bounds[name]) for name, _ in shown]
    assert {"Python", "quart", "langchain", "hypercorn"} <= dict(shown).keys()


def _literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value).replace("'", '"')


def _shown_names() -> list[str]:
    return re.findall(r"^::: (\S+)", read(REFERENCE / "api.md"), re.MULTILINE)


def _payloads() -> set[str]:
    public = {name: getattr(events, name) for name in events.__all__}
    models = {name for name, each in public.items() if isinstance(each, type)}
    return {f"{events.__name__}.{name}" for name in models if issubclass(public[name], BaseModel)}


def _options(command: click.Command) -> Iterator[str]:
    for each in command.params:
        yield from each.opts
