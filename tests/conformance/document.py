"""The table of `docs/reference/chains.md`, made from the rows.

`python -m tests.conformance.document` brings it up to date.
"""

from collections.abc import Iterator
from itertools import groupby

from tests.conformance.cells import CACHES, COLUMNS
from tests.conformance.rows import Row
from tests.conformance.table import ROWS
from tests.servers import ROOT

PAGE = ROOT / "docs" / "reference" / "chains.md"
HEADING = "## Tested combinations\n"
GROUPS = {
    "models": "Models and their parsers, wrappers and fallbacks",
    "functions": "Functions, maps, branches, generators, histories",
    "idioms": "Chains that functions make and call, and other idioms",
    "retrieval": "Retrieval",
    "agents": "Agents of `create_agent`",
    "middleware": "Agents of `create_agent` with middleware",
    "executors": "Agents of `AgentExecutor`",
    "graphs": "Graphs of LangGraph",
    "teams": "Graphs in graphs, fan-outs, and agents that work together",
    "classic": "Classic chains",
}
ARRIVES = {"model": "streams", "always": "streams", "never": "whole", "any": "either"}
TAKES_BACK = {"never": "", "may": "may be", "must": "yes"}


INTRODUCTION = """\
{rows} kinds of chains in {each} combinations each: {all} cells, all of them green.

“streams” means that the answer streams if its model does, “whole” that it comes in one
`completion`; “either” is where LangChain decides. Tokens are “taken back” where it shows only
after they were sent that they are not the answer.
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
