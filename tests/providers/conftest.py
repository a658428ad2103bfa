"""The replay server, and the app whose models ask it."""

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conformance.cells import Client
from tests.providers.replay import Replay, replaying
from tests.servers import hypercorn

NEEDED = ("langchain_openai", "langchain_anthropic", "langchain_google_genai", "langchain_ollama")


@pytest.fixture(scope="session")
def replay() -> Iterator[Replay]:
    """Run the server that stands in for the providers."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed: make .venv/.providers")
    with replaying() as running:
        yield running


@pytest.fixture(scope="session")
def client(replay: Replay) -> Iterator[Client]:
    """Serve the app of these tests."""
    with (
        tempfile.TemporaryDirectory() as folder,
        hypercorn("tests.providers.app:app", Path(folder), REPLAY_URL=replay.url) as server,
    ):
        client = Client(server)
        client.http.get("/", timeout=60)  # until it has imported all packages
        yield client
        client.close()
