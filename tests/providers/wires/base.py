"""What the replay server asks of a wire."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from tests.providers.script import Failure, Reply


class Wire(ABC):
    """How the packages and the servers of a provider speak to each other."""

    content_type = "text/event-stream"

    @abstractmethod
    def turn(self, body: dict[str, Any]) -> int:
        """Return how many replies of the model a request has in its history."""

    def streams(self, path: str, body: dict[str, Any]) -> bool:
        """Tell whether a request asks for a stream."""
        return bool(body.get("stream"))

    @abstractmethod
    def pieces(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        """Yield the parts of a reply as a stream has them, each in several pieces."""

    @abstractmethod
    def ending(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        """Yield what a stream ends with: the finish reason, what it cost."""

    @abstractmethod
    def whole(self, reply: Reply, body: dict[str, Any]) -> Any:
        """Return a reply as one JSON document."""

    @abstractmethod
    def failure(self, failure: Failure) -> tuple[int, dict[str, str], Any]:
        """Return the status, the headers and the JSON body of an error."""

    @abstractmethod
    def failure_event(self, failure: Failure) -> bytes:
        """Return how an error is told in the middle of a stream."""


def data_event(data: Any) -> bytes:
    """Return a server-sent event that has no name."""
    return f"data: {json.dumps(data)}\n\n".encode()


def named_event(data: dict[str, Any]) -> bytes:
    """Return a server-sent event that is named by its type."""
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def retry_after_header(failure: Failure) -> dict[str, str]:
    """Return the header that says how many seconds to wait, where the failure does."""
    return {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
