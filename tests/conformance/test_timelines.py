"""The timelines of the page about answers are those of real runs."""

import pytest

from tests.conformance import timelines

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # that classic chains are classic
)


async def test_the_timelines_in_the_docs_match_real_runs() -> None:
    remedy = "run: python -m tests.conformance.timelines"
    assert timelines.PAGE.read_text(encoding="utf-8") == await timelines.page(), remedy
