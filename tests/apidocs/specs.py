"""Helpers for tests of the API specs: request a spec, check it, validate values against it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from pydantic import BaseModel, TypeAdapter
from quart import Quart

from quart_lanarky import events, stream_chain
from quart_lanarky.protocols.base import EncodedEvent, RouteDescription
from tests.adapters.chains import LCEL

OURS = {
    events.COMPLETION: events.CompletionData,
    events.RETRACT: events.RetractData,
    events.SOURCE_DOCUMENTS: events.SourceDocumentsData,
}
"""The events of a route with a chain of its own handlers."""


class Question(BaseModel):
    question: str


async def fetch(app: Quart, path: str = "/openapi.json") -> Any:
    """Request a spec as a client does."""
    response = await app.test_client().get(path)
    assert response.status_code == 200, path
    return json.loads(await response.get_data(), object_pairs_hook=without_repetition)


def fetched(app: Quart, path: str = "/openapi.json") -> Any:
    """Request a spec where no event loop is running."""
    return asyncio.run(fetch(app, path))


async def fetch_mounted(app: Quart, root: str, path: str) -> httpx.Response:
    """Request a path of an app that a dispatcher has mounted under `root`."""

    async def dispatcher(scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"].startswith(root)
        await app({**scope, "root_path": root}, receive, send)

    transport = httpx.ASGITransport(app=dispatcher)
    async with httpx.AsyncClient(transport=transport, base_url="http://example.org") as client:
        return await client.get(root + path)


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, and fail if it repeats a key."""
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key comes twice among {keys}"
    return dict(pairs)


def walk(value: Any) -> Iterator[Any]:
    """Yield a value and all that is inside it."""
    yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from walk(inner)


def references(value: Any) -> set[str]:
    """Return all references inside a value."""
    return {v["$ref"] for v in walk(value) if isinstance(v, dict) and "$ref" in v}


def resolve(spec: Any, reference: str) -> Any:
    """Return what a reference points to, or raise KeyError."""
    assert reference.startswith("#/")
    found = spec
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def check_references(spec: Any) -> None:
    for reference in references(spec):
        resolve(spec, reference)


def _content(validator: Any, schema: Any, instance: Any, parent: Any) -> Iterator[ValidationError]:
    """Validate JSON in a string: JSON Schema leaves `contentSchema` to the application."""
    assert parent["contentMediaType"] == "application/json"
    try:
        value = json.loads(instance)
    except ValueError as error:
        yield ValidationError(f"this is no JSON: {error}")
    else:
        yield from validator.descend(value, schema, schema_path="contentSchema")


Validator = extend(Draft202012Validator, {"contentSchema": _content})


def problem(value: Any, schema: Any, components: Any) -> str | None:
    """Return why a value does not fit a schema, or None; the schema may refer to `components`."""
    validator = Validator({**schema, "components": {"schemas": components}})
    validator.check_schema(validator.schema)
    error = next(validator.iter_errors(value), None)
    return None if error is None else error.message


def parsed(event: EncodedEvent) -> dict[str, str]:
    """Return an event of a stream as the object that the OpenAPI spec describes."""
    return {"event": event.name, "data": event.data} | (
        {} if event.id is None else {"id": event.id}
    )


def described(**known: Any) -> RouteDescription:
    """Return the description of a route that takes a question."""
    defaults: dict[str, Any] = {
        "parameters": TypeAdapter(dict[str, Any]),
        "body": TypeAdapter(Question),
        "output": str,
        "events": OURS,
    }
    return RouteDescription(**defaults | known)


def decorated(decorate: Callable[[Any], Any], where: str) -> Any:
    """Return a chain route that is decorated `above` `stream_chain` or `below` it."""

    async def chat() -> Any:
        return LCEL

    return decorate(stream_chain(chat)) if where == "above" else stream_chain(decorate(chat))
