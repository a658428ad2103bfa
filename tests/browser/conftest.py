"""A real browser, for the tests of what only that can show."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import Server, hypercorn

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Chromium, once for a file; where there is none, nothing is tested."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: no browser tests"
    )
    if CHROMIUM is None:
        pytest.skip("no chromium: no browser tests")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve an app with a route for each kind of input and answer."""
    folder = tmp_path_factory.mktemp("shapes")
    with hypercorn("tests.browser.playground_app:app", folder) as server:
        yield server


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve an app whose questions are the lists of the events that answer them."""
    folder = tmp_path_factory.mktemp("scripts")
    with hypercorn("tests.browser.scripted_app:app", folder) as server:
        yield server
