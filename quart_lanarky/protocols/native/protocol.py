"""The native protocol as a route uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import ClientSignal, RouteDescription
from ..json_schema import Components
from .docs import NativeDocs
from .encode import Mode, NativeEncoder
from .requests import PONG, STOP, parse_message, parse_object

__all__ = ["NativeProtocol"]


class NativeProtocol:
    """Inputs as JSON or bare text; events as they are.

    Args:
        mode: How tokens are encoded.
    """

    def __init__(self, mode: Mode) -> None:
        self._mode: Mode = mode

    @property
    def options(self) -> Mapping[str, str]:
        """How tokens are encoded."""
        return {"mode": self._mode}

    def new_encoder(self) -> NativeEncoder:
        """Return the encoder of one run."""
        return NativeEncoder(self._mode)

    def parse_body(self, body: str | bytes) -> dict[str, Any]:
        """Return the JSON object that a body is, or raise InputError."""
        return parse_object(body)

    def parse_message(self, frame: str | bytes | None) -> dict[str, Any] | str | ClientSignal:
        """Return the JSON object or the bare text of a frame, or the signal that it is."""
        message = parse_message(frame)
        if message == STOP:
            return ClientSignal.STOP
        return ClientSignal.ALIVE if message == PONG else message

    def docs(self, route: RouteDescription, name: str, components: Components) -> NativeDocs:
        """Describe a route in this protocol for an API spec."""
        return NativeDocs(route, self._mode, name, components)
