"""Servers whose documents are held against what they do, each started once."""

from collections.abc import Iterator

import pytest

from tests.servers import Server, hypercorn


@pytest.fixture(scope="session")
def example_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the example app."""
    with hypercorn("examples.chat:app", tmp_path_factory.mktemp("example")) as running:
        yield running


@pytest.fixture(scope="session")
def fast_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the example app without the pauses that its model makes between words."""
    with hypercorn("tests.contract.example_fast:app", tmp_path_factory.mktemp("fast")) as running:
        yield running


@pytest.fixture(scope="session")
def many_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app with a route for each kind of parameter and input."""
    folder = tmp_path_factory.mktemp("many_kinds")
    with hypercorn("tests.contract.many_kinds:app", folder) as running:
        yield running
