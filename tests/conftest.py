"""What tests of every folder share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import Server, hypercorn

settings.register_profile("project", deadline=None)  # a busy machine is no failure
settings.load_profile("project")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Serve the app of the live tests, once for all of them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        hypercorn("tests.live.app:app", Path(folder)) as running,
    ):
        yield running
