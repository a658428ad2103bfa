"""The README and all pages are right: each block of code in them is tested.

Blocks for a browser run in `tests/browser/test_documentation_in_a_browser.py`, those for nginx,
systemd and Docker in `tests/how_to/`. Text is not run.
"""

import json
import logging
import os
import re
import shutil
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from langchain_core.globals import get_llm_cache, set_llm_cache

from tests.blocks import (
    INCLUDE,
    NAMED_FILE,
    PAGES,
    Block,
    all_blocks,
    blocks,
    files,
    module_name,
    serving,
    write_files,
)
from tests.command_line import OPTION, call, options_of
from tests.servers import ROOT

PARSERS: dict[str, Any] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
ELSEWHERE = {"js", "html", "nginx", "ini", "dockerfile"}
LANGUAGES = {"python", "console", "sh", "text", *PARSERS, *ELSEWHERE}
ADDRESS = "http://127.0.0.1:8000"
RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INTERRUPT_ID = re.compile(r"[0-9a-f]{32}")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DEFINES_TEST = re.compile(r"^(async )?def test_", re.MULTILINE)


def ends_file(block: Block, after: Block | None) -> bool:
    """Tell whether a block is the last one of its file."""
    return after is None or after.page != block.page or bool(NAMED_FILE.match(after.code))


PYTHON = all_blocks("python")
WHOLE = [block for block, after in pairwise([*PYTHON, None]) if ends_file(block, after)]
WITH_TESTS = [block for block in WHOLE if DEFINES_TEST.search([*files(block).values()][-1])]
CONSOLE = groupby(all_blocks("console"), lambda block: (block.page, block.app, str(files(block))))
SESSIONS = [list(session) for _, session in CONSOLE]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_a_page_has_only_code_blocks_that_are_tested(page: Path) -> None:
    strange = {str(each): each.language for each in blocks(page) if each.language not in LANGUAGES}
    assert strange == {}


@every_page
def test_the_package_is_not_installed_from_an_index(page: Path) -> None:
    """There is no release yet."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"pip install [^`\n]*(?<![./])quart[-_]lanarky", text) == []


@every_page
def test_the_files_that_a_page_includes_exist(page: Path) -> None:
    included = INCLUDE.findall(page.read_text(encoding="utf-8"))
    assert [name for name in included if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_runs(block: Block) -> None:
    run(block)


@pytest.mark.parametrize("block", WITH_TESTS, ids=str)
def test_the_tests_of_a_file_pass(block: Block, tmp_path: Path) -> None:
    """Run a file once, when the page says no more of it."""
    write_files(block, tmp_path)
    *_, file = files(block)
    options = ["-q", "--rootdir=.", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    done = call([sys.executable, "-m", "pytest", "-c", os.devnull, *options, file], tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: no console sessions")
@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: str(session[0]))
def test_a_console_session_shows_the_real_output(session: list[Block], tmp_path: Path) -> None:
    """Give all sessions with one app, in order, to one server: it may remember."""
    asks = any(ADDRESS in block.code for block in session)
    write_files(session[0], tmp_path)
    with serving(session[0], tmp_path) if asks else nullcontext() as server:
        for block in session:
            for command, shown in commands(block):
                words = command.replace(ADDRESS, server.url) if server else command
                given = call(["sh", "-c", words], tmp_path).stdout.rstrip("\n")
                assert given == shown or alike(shown, given), f"{block}: {command}"


@pytest.mark.parametrize("block", all_blocks("sh"), ids=str)
def test_shell_commands_are_valid_and_use_existing_options(block: Block, tmp_path: Path) -> None:
    (tmp_path / "block.sh").write_text(block.code, encoding="utf-8")
    assert call(["sh", "-n", "block.sh"], tmp_path).stderr == ""
    code = block.code.replace("\\\n", " ")
    for command, words in re.findall(r"\b(hypercorn|quart)\b((?: [^\n|;&#]*)?)", code):
        missing = [each for each in OPTION.findall(words) if each not in options_of(command)]
        assert missing == [], f"{block}: {command}"
    targets = set(re.findall(r"^make ([\w-]+)", code, re.MULTILINE))
    assert targets <= set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize("block", all_blocks(*PARSERS), ids=str)
def test_data_blocks_are_well_formed(block: Block) -> None:
    PARSERS[block.language](block.code)


@cache
def run(block: Block) -> ModuleType:
    """Run a block, once, in the module of the file that it belongs to, after those above it."""
    above = [each for each in PYTHON if each.page == block.page and each.line < block.line]
    module = run(above[-1]) if above else ModuleType("app")
    if named := NAMED_FILE.match(block.code):
        module = ModuleType(module_name(named[1]))
    module.__file__ = str(block.page)  # tracebacks show the lines of the page
    of_the_page = MODULES[block.page]
    of_the_page[module.__name__] = module
    with process_state_restored(), pytest.MonkeyPatch.context() as patch:
        for name, each in of_the_page.items():
            patch.setitem(sys.modules, name, each)
        code = compile("\n" * block.line + block.code, block.page, "exec")
        exec(code, module.__dict__)  # noqa: S102  # our own pages
    return module


@contextmanager
def process_state_restored() -> Iterator[None]:
    """Restore what a block sets for the whole process, which would change the tests after it."""
    logger = logging.getLogger("quart_lanarky")
    cache, handlers, level = get_llm_cache(), [*logger.handlers], logger.level
    try:
        yield
    finally:
        set_llm_cache(cache)
        logger.handlers[:] = handlers
        logger.setLevel(level)


MODULES = defaultdict[Path, dict[str, ModuleType]](dict)


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Return each command of a session, and what is shown below it."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command = re.match(r"(.*\\\n)*.*", part)
        assert command is not None
        yield command[0], part[command.end() :].strip("\n")


def alike(shown: str, given: str) -> bool:
    """Return whether two texts are equal but for ids; `…` matches anything in a line."""
    pattern = re.escape(INTERRUPT_ID.sub("…", RUN_ID.sub("…", shown))).replace("…", ".*")
    return re.fullmatch(pattern, given) is not None
