"""The server of the conformance suite, and the matrix that is printed at the end."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.cells import Client
from tests.conformance.matrix import Matrix
from tests.servers import hypercorn

MATRIX: pytest.StashKey[Matrix] = pytest.StashKey()


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Serve the app of the conformance suite, once for the whole matrix."""
    with (
        tempfile.TemporaryDirectory() as folder,
        hypercorn("tests.conformance.app:app", Path(folder)) as server,
    ):
        client = Client(server)
        yield client
        client.close()


@pytest.fixture(scope="session")
def matrix(pytestconfig: pytest.Config) -> Matrix:
    """Return where the matrix test writes what it saw."""
    return pytestconfig.stash.setdefault(MATRIX, Matrix())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix, if it was tested."""
    if matrix := terminalreporter.config.stash.get(MATRIX, None):
        terminalreporter.section("conformance: without, with a cold and with a warm cache")
        for line in matrix.lines():
            terminalreporter.line(line)
