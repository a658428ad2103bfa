"""The handler of steps: which nodes of a graph, and of the graphs in it, have begun and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from ....events import STEP, StepData, payload_event
from ....protocols.native.encode import Mode
from ....runs.stream import EventSink
from .base import EventCallbackHandler
from .graph_runs import is_hidden, is_pause, is_step, namespace_of, parent_command

__all__ = ["StepHandler"]


class StepHandler(EventCallbackHandler):
    """Sends that a step of a graph has begun, and once how it has ended."""

    events: ClassVar[Mapping[str, Any]] = {STEP: StepData}

    def __init__(self, stream: EventSink | None = None, *, mode: Mode = "json") -> None:
        super().__init__(stream, mode=mode)
        self._steps: dict[UUID, dict[str, Any]] = {}

    async def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Send that a step begins, unless it is of the graph's inside."""
        known = metadata or {}
        step = str(known.get("langgraph_node") or name or "")
        if not is_step(tags) or is_hidden(tags) or step.startswith("__"):
            return
        agent = known.get("lc_agent_name")
        self._steps[run_id] = {
            "name": step,
            "namespace": list(namespace_of(known)),
            **({"agent": str(agent)} if agent else {}),
        }
        await self._send(self._steps[run_id], "started")

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Send that a step has finished."""
        await self._end(run_id, "finished")

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Send that a step has failed or waits; one that commands another graph has finished."""
        if parent_command(error) is not None:
            await self._end(run_id, "finished")
        else:
            await self._end(run_id, "interrupted" if is_pause(error) else "failed")

    async def _end(self, run_id: UUID, status: str) -> None:
        step = self._steps.pop(run_id, None)
        if step is not None:
            await self._send(step, status)

    async def _send(self, step: Mapping[str, Any], status: str) -> None:
        data = StepData.model_validate({**step, "status": status})
        await self.sink.send(payload_event(STEP, data))
