"""The classes that are put in place of Hypercorn's: what each mends, and whether it still fits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import isfunction, signature
from pkgutil import resolve_name
from typing import Any, Final

from ...transports.hypercorn import hypercorn_version

__all__ = ["PATCHES", "Patch", "patch_hypercorn"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patch:
    """A class that is put in place of one of Hypercorn's, which it extends and is named after.

    Attributes:
        replacement: Where the class is in this package, as `"module:Class"`.
        broken: What is wrong with Hypercorn's own (0.17.3 to 0.18).
        unbounded: What clients may do as much as they like of without it.
        targets: The modules whose global of that name is replaced.
        uses: Classes, as `"module:Class"`, and the names that the replacement takes from them.
    """

    replacement: str
    broken: str
    unbounded: str
    targets: tuple[str, ...]
    uses: Mapping[str, tuple[str, ...]]

    def apply(self, max_message_bytes: int) -> None:
        """Put the class in place, if Hypercorn still has all that it replaces and uses.

        Raises:
            Exception: Of any kind: it has not.
        """
        replacement = resolve_name(f"{__package__}.{self.replacement}")
        targets = [import_module(target) for target in self.targets]
        for target in targets:
            _check_target(target, replacement)
        _check_overrides(replacement)
        for place, names in self.uses.items():
            _check_names(resolve_name(place), names)
        replacement.max_message_bytes = max_message_bytes
        for target in targets:
            setattr(target, replacement.__name__, replacement)


def _check_target(target: Any, replacement: type) -> None:
    name = replacement.__name__
    if getattr(target, name) not in (replacement.__base__, replacement):
        raise LookupError(f"{target.__name__}.{name} is another class")


def _check_overrides(replacement: type) -> None:
    """Check that what is overridden is there, and takes the same."""
    base: Any = replacement.__base__
    for name, method in vars(replacement).items():
        if getattr(method, "__override__", False):
            original = vars(base).get(name)
            if original is None:
                raise LookupError(f"{base.__qualname__} has no {name}")
            if list(signature(original).parameters) != list(signature(method).parameters):
                raise LookupError(f"{base.__qualname__}.{name} has other parameters")


def _check_names(kind: type, names: tuple[str, ...]) -> None:
    """Check that the methods of a class define or use some names: attributes are set in them."""
    known: set[str] = set()
    for base in kind.__mro__:  # it may be one of the classes here
        methods = [method for method in vars(base).values() if isfunction(method)]
        known.update(vars(base), *(method.__code__.co_names for method in methods))
    if missing := sorted(set(names) - known):
        raise LookupError(f"{kind.__qualname__} has no {', '.join(missing)}")


PATCHES: Final = (
    Patch(
        "http2:StreamBuffer",
        broken="HTTP/2 has no back-pressure. The buffer lets the writer go on when the *piece* "
        "that it could send was small, as it is when the client's window is shut, and not when "
        "the *buffer* is: it grows by all that an app has to say.",
        unbounded="what an HTTP/2 client does not read",
        targets=("hypercorn.protocol.h2",),
        uses={"hypercorn.protocol.h2:StreamBuffer": ("_is_empty", "_paused", "buffer")},
    ),
    Patch(
        "http2:H2Protocol",
        broken="Of an HTTP/2 stream that is reset, what was not sent yet is kept. One that ends in "
        "the middle of its answer is not reset, so that its client waits. What comes after the "
        "answer to a request cuts all streams of the connection. So does a request whose path is "
        "missing or not ASCII.",
        unbounded="HTTP/2 streams that were given up",
        targets=("hypercorn.protocol",),
        uses={
            "hypercorn.protocol.h2:H2Protocol": (
                "_flush",
                "_window_updated",
                "acknowledge_received_data",
                "connection",
                "reset_stream",
                "send_headers",
                "stream_buffers",
                "streams",
            ),
            "hypercorn.protocol.h2:StreamBuffer": ("_complete", "close"),
        },
    ),
    Patch(
        "http1:H11Protocol",
        broken="`Upgrade: h2c` is followed. A proxy that passes it on and sees the 101 only copies "
        "bytes from then on: what the client asks for in HTTP/2 goes past the proxy's rules. A "
        "header of a WebSocket's handshake that is not ASCII is an error in the log.",
        unbounded="upgrades to h2c",
        targets=("hypercorn.protocol",),
        uses={"hypercorn.protocol.h11:H11Protocol": ("_send_error_response", "send")},
    ),
    Patch(
        "websockets:PerMessageDeflate",
        broken="A compressed message is inflated without a bound: 200 KB on the wire are 200 MB in "
        "memory.",
        unbounded="compressed WebSocket messages",
        targets=("hypercorn.protocol.ws_stream",),
        uses={
            "wsproto.extensions:PerMessageDeflate": (
                "_decompressor",
                "_inbound_compressed",
                "_inbound_is_compressible",
            )
        },
    ),
    Patch(
        "websockets:WSStream",
        broken="A message that is too long is kept: the close frame (1009) is sent, and what the "
        "client sends further is appended to what it sent before, for as long as it likes. On "
        "broken frames the connection is cut without the close frame that says why (1007, 1002). "
        "All frames of one read are taken at once. An app is not told of a client that was given "
        "up because it spoke before it was accepted.",
        unbounded="WebSocket messages that are too long, and broken frames",
        targets=("hypercorn.protocol.h2", "hypercorn.protocol.h11"),
        uses={
            "hypercorn.protocol.ws_stream:WSStream": (
                "_send_wsproto_event",
                "accepted",
                "app_put",
                "buffer",
                "closed",
                "connection",
                "context",
                "handshake",
                "send",
                "sleep",
                "spawn",
                "stream_id",
                "task_group",
            ),
            "hypercorn.protocol.ws_stream:WebsocketBuffer": ("clear", "extend", "to_message"),
        },
    ),
)


def patch_hypercorn(max_message_bytes: int) -> None:
    """Apply what can be applied of `PATCHES`, in this process, and log what cannot.

    Args:
        max_message_bytes: How many bytes a WebSocket's message may have when it is inflated.
    """
    left_out: dict[str, Exception] = {}
    for patch in PATCHES:
        try:
            patch.apply(max_message_bytes)
        except Exception as error:  # noqa: BLE001  # another Hypercorn: it serves all the same
            left_out[patch.unbounded] = error
    if left_out:
        logger.warning(
            "Hypercorn %s: %s cannot be bounded here; let a proxy do it (%s)",
            hypercorn_version(),
            ", ".join(left_out),
            "; ".join(str(error) for error in left_out.values()),
        )
