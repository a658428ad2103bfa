"""All rows of the conformance suite."""

from tests.conformance import (
    rows_agents,
    rows_classic,
    rows_executors,
    rows_functions,
    rows_graphs,
    rows_idioms,
    rows_models,
    rows_retrieval,
)

MODULES = (
    rows_models,
    rows_functions,
    rows_idioms,
    rows_retrieval,
    rows_agents,
    rows_executors,
    rows_graphs,
    rows_classic,
)
ROWS = [row for module in MODULES for row in module.group.rows]
