"""HTTP/1.1: what is put in place of Hypercorn's."""

from __future__ import annotations

from typing import Any

from hypercorn.protocol.h11 import H11Protocol as HypercornH11Protocol
from typing_extensions import override

__all__ = ["H11Protocol"]


class H11Protocol(HypercornH11Protocol):
    """An HTTP/1.1 connection that ignores `Upgrade: h2c`, as RFC 9110 (7.8) allows.

    A client may still speak HTTP/2 from its first byte: no proxy turns HTTP/1.1 into that.
    """

    @override
    async def _check_protocol(self, event: Any) -> None:
        if not event.headers:  # as in HTTP/2's preface; an upgrade is asked for in a header
            await super()._check_protocol(event)
