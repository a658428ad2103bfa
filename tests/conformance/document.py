"""The table of `docs/explanation/chains.md`, made from the rows.

`python -m tests.conformance.document` brings it up to date.
"""

from collections.abc import Iterator
from itertools import groupby

from tests.conformance.cells import CACHES, COLUMNS
from tests.conformance.rows import Row
from tests.conformance.table import ROWS
from tests.servers import ROOT

PAGE = ROOT / "docs" / "explanation" / "chains.md"
HEADING = "## What the suite tries\n"
GROUPS = {
    "models": "Models and their parsers, wrappers and fallbacks",
    "functions": "Functions, maps, branches, generators, histories",
    "idioms": "Chains that functions make and call, and other idioms",
    "retrieval": "Retrieval",
    "agents": "Agents of `create_agent`",
    "executors": "Agents of `AgentExecutor`",
    "graphs": "Graphs of LangGraph",
    "classic": "Classic chains",
}
ARRIVES = {"model": "streams", "always": "streams", "never": "whole", "any": "either"}
TAKES_BACK = {"never": "", "may": "may be", "must": "yes"}


INTRODUCTION = """\
{rows} kinds, {each} cells each: {all} cells, all of them green.

An answer streams where its model does, or comes whole in one `completion`; “either” is where
LangChain decides. Tokens are taken back where a model had to go first to show that it was not the
one.
"""


def table() -> str:
    """Return what the page has below its heading and its first paragraph."""
    each = len(COLUMNS) * len(CACHES)
    lines = [INTRODUCTION.format(rows=len(ROWS), each=each, all=each * len(ROWS))]
    for group, rows in groupby(ROWS, lambda row: row.group):
        lines += [f"### {GROUPS[group]}", "", *_lines(rows), ""]
    return "\n".join(lines)


def _lines(rows: Iterator[Row]) -> Iterator[str]:
    yield "| kind | answer | sources | taken back |"
    yield "|---|---|---|---|"
    for row in rows:
        sources = "" if row.documents is None else "yes"
        name, back = row.id.replace("-", " "), TAKES_BACK[row.retracts]
        yield f"| {name} | {ARRIVES[row.streams]} | {sources} | {back} |"


def page() -> str:
    """Return the page with its table made anew."""
    prose, heading, rest = PAGE.read_text(encoding="utf-8").partition(HEADING)
    introduction = rest.strip().partition("\n\n")[0]
    return f"{prose}{heading}\n{introduction}\n\n{table()}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
