"""Checks recorded traffic against the API specs.

Every function returns the problems that it found, each a sentence for people; an empty list means
that all is as documented.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.sse import Decoder

Document = dict[str, Any]
Schema = dict[str, Any]

STREAM = "text/event-stream"
JSON = "application/json"
METHODS = ("get", "put", "post", "delete", "patch")


# -- what the API specs have -----------------------------------------------------------------


def chain_operations(openapi: Document) -> list[tuple[str, str]]:
    """Return the method and the path of every operation that answers with a stream."""
    return [
        (method, path)
        for path, item in openapi["paths"].items()
        for method in METHODS
        if STREAM in item.get(method, {}).get("responses", {}).get("200", {}).get("content", {})
    ]


def channel_addresses(asyncapi: Document) -> list[str]:
    """Return the address of every channel."""
    return [channel["address"] for channel in asyncapi["channels"].values()]


def messages_of(asyncapi: Document, address: str, action: str) -> list[Document]:
    """Return the messages of a channel's operation, `send` or `receive`; seen from the app."""
    channels = asyncapi["channels"].items()
    names = [name for name, channel in channels if channel["address"] == address]
    references = [
        message
        for operation in asyncapi["operations"].values()
        if operation["action"] == action and operation["channel"]["$ref"] in _channels(names)
        for message in operation["messages"]
    ]
    return [resolved(asyncapi, reference) for reference in references]


def _channels(names: list[str]) -> list[str]:
    return [f"#/channels/{name}" for name in names]


def resolved(document: Document, schema: Any) -> Any:
    """Return what a reference stands for, through as many references as it takes."""
    while isinstance(schema, dict) and "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        schema = target
    return schema


# -- HTTP ------------------------------------------------------------------------------------


def judge_response(
    openapi: Document, method: str, path: str, status: int, content_type: str, body: bytes
) -> list[str]:
    """Judge an HTTP response.

    Args:
        openapi: The OpenAPI spec, 3.1 or 3.2.
        method: The method of the request.
        path: The path as in the spec, with its parameters in braces.
        status: The status code.
        content_type: The header of that name.
        body: All bytes of the body.
    """
    operation = openapi["paths"].get(path, {}).get(method.lower())
    if operation is None:
        return [f"{method} {path} is not documented"]
    response = operation["responses"].get(str(status))
    if response is None:
        return [f"{method} {path}: the status {status} is not documented"]
    content = resolved(openapi, response).get("content")
    if content is None:
        return []  # it is documented, and that its body can be anything
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in content:
        return [f"{method} {path}: {status} with the type {kind!r} is not documented"]
    return _judge_body(openapi, kind, content[kind], body)


def _judge_body(openapi: Document, kind: str, media: Document, body: bytes) -> list[str]:
    if kind == STREAM:
        return _judge_stream(openapi, media, body)
    if kind == JSON:
        return _judge_json(openapi, media.get("schema"), body)
    return list(_misfits(openapi, media.get("schema", {}), body.decode(), "the body"))


def _judge_json(openapi: Document, schema: Schema | None, body: bytes) -> list[str]:
    if schema is None:
        return ["the JSON has no schema"]
    try:
        value = _parsed(body.decode())
    except ValueError as error:
        return [f"the body is no JSON: {error}"]
    return list(_misfits(openapi, schema, value, "the body"))


def _judge_stream(openapi: Document, media: Document, body: bytes) -> list[str]:
    key = "itemSchema" if openapi["openapi"].startswith("3.2") else "schema"
    if key not in media:
        return [f"the stream has no {key}"]
    if not body.endswith(b"\n\n"):
        return ["the stream breaks off in an event"]
    union = resolved(openapi, media[key])
    events = Decoder().feed(body)
    problems = [
        f"event {number}: {problem}"
        for number, event in enumerate(events)
        for problem in _judge_event(openapi, union, event)
    ]
    return problems + list(_judge_order([event.name for event in events]))


def _judge_event(openapi: Document, union: Schema, event: EncodedEvent) -> Iterator[str]:
    envelope = {"event": event.name, "data": event.data}
    if event.id is not None:
        envelope["id"] = event.id
    fitting = [
        option
        for option in union.get("oneOf", [])
        if _is_for(resolved(openapi, option), event.name)
    ]
    if len(fitting) != 1:
        yield f"there are {len(fitting)} components for the event {event.name!r}"
        return
    component = resolved(openapi, fitting[0])
    yield from _misfits(openapi, component, envelope, f"the event {event.name!r}")
    data = component["properties"].get("data", {})
    if data.get("contentMediaType") == JSON:
        try:
            value = _parsed(event.data)
        except ValueError as error:
            yield f"the data of {event.name!r} is no JSON: {error}"
        else:
            where = f"the data of {event.name!r}"
            yield from _misfits(openapi, data["contentSchema"], value, where)


# -- WebSockets ------------------------------------------------------------------------------


def judge_turn(asyncapi: Document, address: str, frames: Sequence[str]) -> list[str]:
    """Judge the text frames of one turn.

    Args:
        asyncapi: The AsyncAPI spec.
        address: The address of the channel as in the spec, with its parameters in braces.
        frames: The frames as they came.
    """
    messages = messages_of(asyncapi, address, "send")
    if not messages:
        return [f"nothing is documented to come at {address}"]
    problems: list[str] = []
    names: list[str] = []
    for number, text in enumerate(frames):
        try:
            frame = _parsed(text)
        except ValueError as error:
            problems.append(f"frame {number}: it is no JSON: {error}")
            continue
        if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
            problems.append(f"frame {number}: it is no object with the name of an event")
            continue
        names.append(frame["event"])
        found = _judge_frame(asyncapi, messages, frame)
        problems += [f"frame {number}: {problem}" for problem in found]
    return problems + list(_judge_order(names))


def _judge_frame(asyncapi: Document, messages: list[Document], frame: Document) -> Iterator[str]:
    name = frame["event"]
    payloads = [message["payload"] for message in messages]
    fitting = [payload for payload in payloads if _is_for(resolved(asyncapi, payload), name)]
    if len(fitting) != 1:
        yield f"there are {len(fitting)} messages for the event {name!r}"
        return
    yield from _misfits(asyncapi, fitting[0], frame, f"the frame of {name!r}")


def judge_sent(asyncapi: Document, address: str, text: str) -> list[str]:
    """Judge what a client sent: it has to be one of the messages that the channel receives."""
    messages = messages_of(asyncapi, address, "receive")
    problems: list[str] = []
    for message in messages:
        found = list(_judge_message(asyncapi, message, text))
        if not found:
            return []
        problems += [f"as {message['name']}: {problem}" for problem in found]
    return problems or [f"nothing is documented to be sent at {address}"]


def _judge_message(asyncapi: Document, message: Document, text: str) -> Iterator[str]:
    value: Any = text
    if message["contentType"] == JSON:
        try:
            value = _parsed(text)
        except ValueError as error:
            yield f"it is no JSON: {error}"
            return
    errors = _validator(asyncapi, message["payload"]).iter_errors(value)
    yield from (error.message for error in errors)


# -- what both have in common ----------------------------------------------------------------


def _is_for(component: Schema, name: str) -> bool:
    """Tell whether the component of an event, or of a frame, is the one for a name."""
    which = component["properties"]["event"]
    if "const" in which:
        return bool(which["const"] == name)
    return name not in which["not"]["enum"]


def _judge_order(names: Sequence[str]) -> Iterator[str]:
    if names.count("end") != 1:
        yield f"`end` came {names.count('end')} times"
    elif names[-1] != "end":
        yield f"the last event is {names[-1]!r} and not `end`"
    if names.count("error") > 1:
        yield f"`error` came {names.count('error')} times"


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def _validator(document: Document, schema: Schema) -> Draft202012Validator:
    return Draft202012Validator({"components": document["components"], **schema})


def _misfits(document: Document, schema: Schema, value: Any, what: str) -> Iterator[str]:
    for error in _validator(document, schema).iter_errors(value):
        where = ".".join(map(str, error.absolute_path))
        yield f"{what}{f' at {where}' if where else ''}: {error.message}"
    for field in _unknown_fields(document, [schema], value):
        yield f"{what}: the schema has no field {field!r}"


def _unknown_fields(
    document: Document, schemas: Sequence[Any], value: Any, where: str = ""
) -> Iterator[str]:
    """Yield the fields that none of the schemas of a value names.

    A JSON schema that does not forbid further fields lets them pass; here they have to be
    expected: by `additionalProperties`, or by a schema that says nothing at all of the object.
    """
    found = [part for schema in schemas for part in _parts(document, schema, value)]
    if isinstance(value, dict) and any("properties" in part for part in found):
        for name, inner in value.items():
            path = f"{where}.{name}" if where else name
            known = [schema for part in found for schema in _schemas_of_field(part, name)]
            if known:
                yield from _unknown_fields(document, known, inner, path)
            else:
                yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            further = [part["additionalProperties"] for part in found if _takes_others(part)]
            yield from _unknown_fields(document, further, inner, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            items = [s for part in found if (s := _schema_of_item(part, number)) is not None]
            yield from _unknown_fields(document, items, inner, f"{where}.{number}".lstrip("."))


def _parts(document: Document, schema: Any, value: Any) -> Iterator[Schema]:
    """Yield a schema and the schemas in it that say something of the same value."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from _parts(document, resolved(document, schema), value)
    yield schema
    for inner in schema.get("allOf", []):
        yield from _parts(document, inner, value)
    for inner in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
        if _validator(document, inner).is_valid(value):
            yield from _parts(document, inner, value)


def _schemas_of_field(part: Schema, name: str) -> list[Any]:
    if name in part.get("properties", {}):
        return [part["properties"][name]]
    patterns = part.get("patternProperties", {}).items()
    matching = [schema for pattern, schema in patterns if re.search(pattern, name)]
    return matching or ([part["additionalProperties"]] if _takes_others(part) else [])


def _takes_others(part: Schema) -> bool:
    return part.get("additionalProperties", False) is not False


def _schema_of_item(part: Schema, number: int) -> Any:
    first = part.get("prefixItems", [])
    return first[number] if number < len(first) else part.get("items")
