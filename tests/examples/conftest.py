"""What the tests of examples in this process share."""

from importlib import import_module
from types import ModuleType

import pytest
from quart import Quart

from examples.local_model import LocalChatModel, chat_model
from tests.examples.numbered import numbered


@pytest.fixture
def example(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give the example of the test file's number; its model does not write at a human pace."""
    model = chat_model()
    assert isinstance(model, LocalChatModel)
    monkeypatch.setattr(model, "delay", 0.0)
    number = request.path.stem.removeprefix("test_")[:2]
    return import_module(f"examples.{numbered(number).stem}")


@pytest.fixture
def app(example: ModuleType) -> Quart:
    """Give its app."""
    found = example.app
    assert isinstance(found, Quart)
    return found
