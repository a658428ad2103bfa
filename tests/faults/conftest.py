"""The servers that tests of faults share, and the figures they have seen, printed at the end."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.servers import Server, hypercorn, served

APP = "tests.faults.app:app"

Record = Callable[[str], None]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app under `quart_lanarky.serve`."""
    with served(APP, tmp_path_factory.mktemp("serve")) as server:
        httpx.get(f"{server.url}/ping", timeout=60)  # it is up
        yield server


@pytest.fixture(scope="module", params=["serve", "hypercorn"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The app under `quart_lanarky.serve`, and under the `hypercorn` command."""
    if request.param == "serve":
        yield request.getfixturevalue("serve")
    else:
        with hypercorn(APP, tmp_path_factory.mktemp("hypercorn")) as server:
            httpx.get(f"{server.url}/ping", timeout=60)
            yield server


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Record:
    """Note a figure for `docs/explanation/reliability.md`."""
    return lambda figure: record_property("seen", figure)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures with the names of their tests."""
    for report in terminalreporter.getreports("passed"):
        for name, figure in report.user_properties:
            if name == "seen":
                terminalreporter.write_line(f"seen: {report.nodeid.split('::')[-1]}: {figure}")
