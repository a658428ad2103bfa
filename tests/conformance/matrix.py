"""The matrix of passed and failed cells, as text for people."""

from collections.abc import Iterator

from tests.conformance.cells import COLUMNS, Column
from tests.conformance.rows import Row


class Matrix:
    """A character for each cell: `.` passed, `F` failed."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[Column, str]] = {}

    def add(self, row: Row, column: Column, *, green: bool) -> None:
        """Add the next of the three cells of a row and a column."""
        cells = self._rows.setdefault(row.id, dict.fromkeys(COLUMNS, ""))
        cells[column] += "." if green else "F"

    def lines(self) -> Iterator[str]:
        """Yield the matrix as text: a line a row, three characters a column."""
        width = max(map(len, self._rows))
        for part in ("transport", "mode", "behaviour"):
            heads = (getattr(column, part)[:3].ljust(4) for column in COLUMNS)
            yield f"{'':{width}} {''.join(heads)}"
        for name, cells in self._rows.items():
            yield f"{name:{width}} {''.join(marks.ljust(4) for marks in cells.values())}"
        yield self._totals()

    def _totals(self) -> str:
        marks = "".join(cell for cells in self._rows.values() for cell in cells.values())
        counts = f"{marks.count('.')} green, {marks.count('F')} red"
        return f"{len(self._rows)} rows, {len(marks)} cells: {counts}"
