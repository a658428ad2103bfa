"""The figures that the tests of faults have seen, printed when they are done."""

from collections.abc import Callable

import pytest

Record = Callable[[str], None]


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Record:
    """Note a figure for `docs/reliability.md`."""
    return lambda figure: record_property("seen", figure)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures with the names of their tests."""
    for report in terminalreporter.getreports("passed"):
        for name, figure in report.user_properties:
            if name == "seen":
                terminalreporter.write_line(f"seen: {report.nodeid.split('::')[-1]}: {figure}")
