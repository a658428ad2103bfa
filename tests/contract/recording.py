"""Records the responses of a live server, as bytes and frames, for the judge."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from tests.contract.judge import JSON, STREAM, Document, judge_response, messages_of
from tests.live.clients import socket
from tests.servers import Server


@dataclass(frozen=True)
class ApiSpecs:
    """The API specs of a server, as it serves them."""

    openapi: Document
    asyncapi: Document


@dataclass(frozen=True)
class Recorded:
    """An HTTP response, and the operation of the spec that it belongs to."""

    method: str
    path: str
    status: int
    content_type: str
    body: bytes

    def judged_by(self, openapi: Document) -> list[str]:
        """Return what is wrong with it."""
        return judge_response(
            openapi, self.method, self.path, self.status, self.content_type, self.body
        )


@cache
def _client() -> httpx.Client:
    """Return the one client: loading certificates each time would take longer than the tests."""
    # A connection that is kept may just be closed by the server when it is used again.
    return httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


def fetch_documents(server: Server) -> ApiSpecs:
    """Return the API specs of a server."""
    answers = [_client().get(f"{server.url}/{name}.json") for name in ("openapi", "asyncapi")]
    return ApiSpecs(*(answer.raise_for_status().json() for answer in answers))


def record(
    server: Server,
    method: str,
    path: str,
    inputs: Any = None,
    *,
    accept: str = STREAM,
    query: str = "",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    **parameters: object,
) -> Recorded:
    """Ask and return the whole answer.

    Args:
        server: The server.
        method: `get` or `post`.
        path: The path as in the spec.
        inputs: What goes into the query string of a GET and into the body of a POST.
        accept: The type of answer that is asked for.
        query: More of the query string, with its question mark.
        body: The bytes of the body, instead of the inputs.
        headers: Further headers, such as another type of the body than JSON.
        **parameters: The parameters of the path.
    """
    said = {"Accept": accept}
    url = httpx.URL(f"{server.url}{path.format(**parameters)}{query}")
    content = None
    if method == "get":
        url = url.copy_merge_params(inputs or {})
    else:
        said["Content-Type"] = JSON
        content = json.dumps(inputs).encode() if body is None else body
    answer = _client().request(method, url, headers={**said, **(headers or {})}, content=content)
    kind = answer.headers.get("content-type", "")
    return Recorded(method, path, answer.status_code, kind, answer.content)


async def record_turns(
    server: Server, address: str, *messages: str, query: str = "", **parameters: object
) -> list[list[str]]:
    """Send messages on one WebSocket and return the frames that each was answered with."""
    turns = []
    async with socket(server, address.format(**parameters) + query) as connection:
        for message in messages:
            await connection.send(message)
            turns.append([str(await connection.recv())])
            while json.loads(turns[-1][-1])["event"] != "end":
                turns[-1].append(str(await connection.recv()))
    return turns


def example_inputs(openapi: Document, path: str) -> Any:
    """Return the example inputs in the spec."""
    return openapi["paths"][path]["post"]["requestBody"]["content"][JSON]["example"]


def example_messages(asyncapi: Document, address: str) -> list[str]:
    """Return the example messages in the spec, except control messages."""
    return [
        example["payload"] if message["contentType"] != JSON else json.dumps(example["payload"])
        for message in messages_of(asyncapi, address, "receive")
        for example in message.get("examples", [])
        if message["name"] not in ("Stop", "Pong")
    ]
