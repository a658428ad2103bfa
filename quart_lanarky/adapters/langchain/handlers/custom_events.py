"""The handler of custom events: what the nodes and the tools of an app send of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs

from ....events import CUSTOM, CustomEventData, Event, payload_event
from ....protocols.native.encode import Mode
from ....runs.stream import EventSink
from .base import EventCallbackHandler
from .extraction import to_json
from .graph_runs import namespace_of
from .sync_sender import SyncSender

__all__ = ["CustomEventHandler", "with_stream_writer"]


class CustomEventHandler(EventCallbackHandler):
    """Sends what is given to `adispatch_custom_event`, and to `get_stream_writer()` of a graph.

    LangGraph tells no callback of the latter. A route gives graphs the writer of its handler; by
    hand, give `write` what `astream(..., stream_mode="custom")` yields.
    """

    events: ClassVar[Mapping[str, Any]] = {CUSTOM: CustomEventData}

    def __init__(self, stream: EventSink | None = None, *, mode: Mode = "json") -> None:
        super().__init__(stream, mode=mode)
        self._sender = SyncSender(self.sink)

    async def on_custom_event(
        self, name: str, data: Any, *, metadata: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Send an event of `adispatch_custom_event` or `dispatch_custom_event`."""
        await self._sender.send(_custom_event(name, data, metadata))

    def write(self, data: Any) -> None:
        """Send what was written with `get_stream_writer()`.

        Args:
            data: Anything; what JSON cannot express becomes text.

        Raises:
            BufferError: Far more waits for the client than may.
        """
        self._sender.send_soon(_custom_event(None, data, ensure_config().get("metadata")))


def _custom_event(name: str | None, data: Any, metadata: Mapping[str, Any] | None) -> Event:
    namespace = namespace_of(metadata)
    place = {"namespace": list(namespace)} if namespace else {}
    payload = CustomEventData.model_validate({"name": name, "data": to_json(data), **place})
    return payload_event(CUSTOM, payload)


def with_stream_writer(config: RunnableConfig, handler: CustomEventHandler) -> RunnableConfig:
    """Return a configuration with which a graph gives its nodes the writer of a handler.

    The stream mode "custom" would do so too, but its events wait in a queue while tokens do not, so
    that their order would be lost. A graph takes the writer of the graph around it, which is what
    these two keys of LangGraph's say; it names them nowhere but in its own code.
    """
    try:
        from langgraph.pregel.protocol import StreamProtocol  # only for graphs
        from langgraph.runtime import Runtime
    except ImportError:  # another version
        return config
    writer: RunnableConfig = {
        "configurable": {
            "__pregel_stream": StreamProtocol(lambda _: None, set()),
            "__pregel_runtime": Runtime(stream_writer=handler.write),
        }
    }
    return merge_configs(config, writer)
