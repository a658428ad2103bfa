"""The page of supported chains lists what the suite tries, and no more."""

from tests.conformance import document
from tests.conformance.table import ROWS


def test_the_table_in_the_docs_matches_the_suite() -> None:
    remedy = "run: python -m tests.conformance.document"
    assert document.PAGE.read_text(encoding="utf-8") == document.page(), remedy


def test_every_kind_has_a_unique_name() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)
