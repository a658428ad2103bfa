"""HTTP/1.1: what is put in place of Hypercorn's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hypercorn.events import Closed
from hypercorn.protocol.h11 import H11Protocol as HypercornH11Protocol
from typing_extensions import override

__all__ = ["H11Protocol", "is_ascii"]

_READ_AS_ASCII: Final = {
    *(b":method", b":path", b"connection"),
    *(b"sec-websocket-extensions", b"sec-websocket-protocol"),
}


def is_ascii(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether Hypercorn can read those headers that it decodes as ASCII."""
    return all(value.isascii() or name.lower() not in _READ_AS_ASCII for name, value in headers)


class H11Protocol(HypercornH11Protocol):
    """An HTTP/1.1 connection that ignores `Upgrade: h2c`, as RFC 9110 (7.8) allows.

    A client may still speak HTTP/2 from its first byte: no proxy turns HTTP/1.1 into that. A
    request that cannot be decoded gets status 400.
    """

    @override
    async def _check_protocol(self, event: Any) -> None:
        if not event.headers:  # as in HTTP/2's preface; an upgrade is asked for in a header
            await super()._check_protocol(event)

    @override
    async def _create_stream(self, request: Any) -> None:
        if is_ascii(request.headers):
            await super()._create_stream(request)
        else:
            await self._send_error_response(400)
            await self.send(Closed())
