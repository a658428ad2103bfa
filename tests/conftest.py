"""What tests of every folder share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.how_to.nginx import Front, nginx
from tests.servers import Server, hypercorn, served

settings.register_profile("project", deadline=None)  # a busy machine is no failure
settings.load_profile("project")

TESTS = Path(__file__).parent
MARKERS = {  # of what is more than `unit`; pyproject.toml says what each means
    "browser": ["browser"],
    "conformance": ["conformance"],
    "contract": ["contract"],
    "contract/test_schemathesis.py": ["schemathesis"],
    "examples": ["examples"],
    "faults": ["faults"],
    "faults/test_soak.py": ["measures"],
    "faults/test_spin.py": ["measures"],
    "how_to": ["how_to"],
    "live": ["live"],
    "providers": ["providers"],
    "runs/test_stream.py": ["unit", "measures"],
    "speed": ["measures"],
    "test_documentation.py": ["docs"],
}
MOVED = [place for place in MARKERS if not (TESTS / place).exists()]
assert MOVED == [], f"their tests would count as unit tests: {MOVED}"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by where it is, so that `-m` can choose."""
    place = item.path.relative_to(TESTS)
    found = [name for each in (place, *place.parents) for name in MARKERS.get(each.as_posix(), [])]
    for name in found or ["unit"]:
        item.add_marker(name)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Serve the app of the live tests, once for all of them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        hypercorn("tests.live.app:app", Path(folder)) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app of `make demo`."""
    with hypercorn("examples.chat:app", tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Server]:
    """Serve an app whose model waits in the middle of its answer."""
    with served("tests.how_to.gated:app", tmp_path) as running:
        yield running


@pytest.fixture
def front(gated: Server, tmp_path: Path) -> Iterator[Front]:
    """Run nginx in front of it."""
    with nginx(gated.port, tmp_path) as running:
        yield running
