"""The tests that the page about reliability names exist."""

import ast
import re

import pytest

from tests.servers import ROOT

PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_each_test_named_on_the_page_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in found or (not name and any(each.startswith("test_") for each in found))


def test_each_file_of_fault_tests_is_named_on_the_page() -> None:
    files = {f"tests/faults/{path.name}" for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    assert files <= {path for path, _ in NAMED}
