"""Servers whose API specs are compared with their behaviour, each started once."""

from collections.abc import Iterator

import pytest

from tests.servers import Server, hypercorn


@pytest.fixture(scope="session")
def fast_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app of `make demo` without the pauses that its model makes between words."""
    folder = tmp_path_factory.mktemp("fast")
    with hypercorn("examples.chat:app", folder, LANARKY_DELAY="0") as running:
        yield running


@pytest.fixture(scope="session")
def many_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app with a route for each kind of parameter and input."""
    folder = tmp_path_factory.mktemp("many_kinds")
    with hypercorn("tests.contract.many_kinds:app", folder) as running:
        yield running
