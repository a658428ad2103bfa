"""Each app that the factory makes is one of its own, with all routes and its own settings."""

import subprocess
import sys
from types import ModuleType

import pytest

from quart_lanarky.testing import RefusedError, answer_of, stream
from tests.examples.numbered import command, numbered
from tests.servers import ROOT

ASKED = {"question": "What is a blueprint?"}
ANSWER = "A blueprint is a part of an app, with its routes."


async def test_all_apps_of_the_factory_have_all_routes(example: ModuleType) -> None:
    for app in (example.create_app(), example.create_app()):
        asked = stream(app.test_client(), "/api/chat", json=ASKED)
        assert answer_of([event async for event in asked]) == ANSWER
        asked = stream(app.test_client(), "/qa", json={"query": "What is a token?"})
        assert answer_of([event async for event in asked]).startswith("A token is")


async def test_each_app_has_its_own_settings(example: ModuleType) -> None:
    small = example.create_app({"QUART_LANARKY_MAX_MESSAGE_BYTES": 10})
    with pytest.raises(RefusedError) as refused:
        await anext(stream(small.test_client(), "/api/chat", json=ASKED))
    assert refused.value.status_code == 413
    usual = example.create_app()
    assert await anext(stream(usual.test_client(), "/api/chat", json=ASKED))


def test_settings_are_read_from_the_environment(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_QUART_LANARKY_MAX_RUNS", "100")
    assert example.create_app().config["QUART_LANARKY_MAX_RUNS"] == 100


def test_the_command_line_accepts_the_factory() -> None:
    _, app = command(numbered("10"))
    quart = [sys.executable, "-m", "quart", "--app", app, "lanarky", "routes"]
    done = subprocess.run(quart, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert "/api/chat" in done.stdout
    assert "/qa/ws" in done.stdout
