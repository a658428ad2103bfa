"""Every kind of chain gets exactly its answer, exactly once: each row in each column."""

import pytest

from tests.conformance.cells import (
    COLUMNS,
    Client,
    Column,
    problems,
    wrong_documents,
    wrong_interrupts,
)
from tests.conformance.matrix import Matrix
from tests.conformance.rows import Row
from tests.conformance.table import each_row


@each_row
@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_the_answer_arrives_exactly_once(
    client: Client, matrix: Matrix, row: Row, column: Column
) -> None:
    found = []
    for cache, frames in client.ask_all(row, column):
        wrong = list(problems(row, column, cache, frames))
        matrix.add(row, column, green=not wrong)
        found += [f"{row.id}, {column}, {cache} cache: {problem}" for problem in wrong]
    assert not found, "\n".join(found)


@each_row
def test_the_json_response_has_the_same_answer(client: Client, row: Row) -> None:
    document = client.document(row)
    assert document["output"] == row.output
    assert ("source_documents" in document) == (row.documents is not None)
    assert not list(wrong_documents(row, document.get("source_documents", [])))
    assert ("interrupts" in document) == (row.interrupts is not None)
    assert not list(wrong_interrupts(row, document.get("interrupts", [])))
