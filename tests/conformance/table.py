"""All rows of the conformance suite."""

from typing import Any

import pytest

from tests.conformance import (
    rows_agents,
    rows_classic,
    rows_executors,
    rows_functions,
    rows_graphs,
    rows_idioms,
    rows_middleware,
    rows_models,
    rows_retrieval,
    rows_teams,
)
from tests.conformance.rows import Row

MODULES = (
    rows_models,
    rows_functions,
    rows_idioms,
    rows_retrieval,
    rows_agents,
    rows_middleware,
    rows_executors,
    rows_graphs,
    rows_teams,
    rows_classic,
)
ROWS = [row for module in MODULES for row in module.group.rows]


def _case(row: Row) -> Any:
    skipped = pytest.mark.skipif(row.is_missing, reason=f"{row.needs} is not installed")
    return pytest.param(row, id=row.id, marks=skipped)


each_row = pytest.mark.parametrize("row", [_case(row) for row in ROWS])
"""Gives a test each row in turn; those that need what is not installed are skipped."""
