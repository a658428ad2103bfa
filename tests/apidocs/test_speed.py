"""The specs of many chain routes are built in a moment, and only once."""

import asyncio
import time
from typing import Any

from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import PromptTemplate
from quart import Quart
from quart_schema import QuartSchema

from quart_lanarky import LanarkyExtension

ROUTES = 200


def factory(number: int) -> Any:
    """Make a chain factory that is unique."""

    def make(k: int = number, style: str = "plain") -> Any:
        prompt = PromptTemplate.from_template(f"{{question{number}}} {{style}}")
        return prompt | FakeListChatModel(responses=["hi"])

    return make


def test_a_spec_of_many_routes_is_built_once() -> None:
    app = Quart("shop")
    QuartSchema(app)
    lanarky = LanarkyExtension(app)
    for number in range(ROUTES):
        lanarky.add_chain(f"/chain{number}", factory(number))

    async def timed(path: str) -> float:
        started = time.perf_counter()
        response = await app.test_client().get(path)
        assert response.status_code == 200
        return time.perf_counter() - started

    async def ask() -> None:
        paths = ["/openapi.json", "/openapi.json", "/asyncapi.json", "/asyncapi.json"]
        for path in paths:
            print(f"{path}: {await timed(path):.3f} s")  # noqa: T201  # shown by pytest -s

    asyncio.run(ask())
    provider = app.extensions["QUART_SCHEMA"].openapi_provider
    first, second = provider.schema(), provider.schema()
    assert first["paths"] is second["paths"]
    assert first["components"] is second["components"]
    assert len(first["paths"]) == ROUTES
