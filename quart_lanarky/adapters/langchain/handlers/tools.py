"""The handler of tools: their calls, how far they are, and their results.

In a graph, what counts is what its steps return: a call is one that a step adds to the
conversation, and a result is what a step adds as its answer. So a call that the agent's model did
not make in earnest (a structured output, an attempt that was repeated) is not sent, and a result
is the one that the model is told, after all middleware. Calls of tools that no message answers,
such as those of an `AgentExecutor`, are known by the runs of the tools alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import LLMResult
from pydantic import JsonValue

from ....events import (
    TOOL_CALL,
    TOOL_PROGRESS,
    TOOL_RESULT,
    ToolCallData,
    ToolProgressData,
    ToolResultData,
    payload_event,
)
from ....protocols.native.encode import Mode
from ....runs.stream import EventSink
from .base import EventCallbackHandler
from .extraction import answer_json, to_json
from .graph_runs import is_pause, is_step, namespace_of, parent_command
from .selection import NOSTREAM, ModelCall, any_run
from .sync_sender import SyncSender
from .tool_calls import (
    answer_in,
    is_command,
    message_of,
    messages_in,
    server_tool_blocks,
    unanswered_calls,
)
from .tool_progress import current_run, hear_progress

__all__ = ["ToolHandler"]

logger = logging.getLogger(__name__)

FAILED = "The tool has failed."
CANCELLED = "The tool was cancelled."

_INVALID_TOOL = "invalid_tool"  # what an `AgentExecutor` runs in place of a tool it does not have

Namespace = tuple[str, ...]


@dataclass(eq=False)
class _Call:
    """One call of a tool.

    Attributes:
        id: Its id.
        name: The tool's name.
        args: What it is called with.
        namespace: Where in a graph it is.
        is_told: Whether the client knows of it.
        is_done: Whether its result was sent, or never will be.
        error: What its last attempt raised.
        has_run: Whether the tool ran in this run.
    """

    id: str
    name: str
    args: Mapping[str, Any]
    namespace: Namespace
    is_told: bool = False
    is_done: bool = False
    error: BaseException | None = None
    has_run: bool = False


@dataclass(eq=False)
class _Scope:
    """What the runs within a step of a graph, or within a tool, are part of.

    Attributes:
        run: The run of the step or the tool.
        namespace: Where in a graph the step is.
        step: The step; of a tool the one around it, if there is one.
        in_tool: Whether it is a tool.
        is_unknown_tool: Whether an `AgentExecutor` only says that there is no such tool.
        ended: The calls that ended in the step, with what the tools returned.
    """

    run: UUID
    namespace: Namespace = ()
    step: _Scope | None = None
    in_tool: bool = False
    is_unknown_tool: bool = False
    ended: dict[_Call, Any] = field(default_factory=dict)


class ToolHandler(EventCallbackHandler):
    """Sends each call of a tool once, and one result of each that ends."""

    events: ClassVar[Mapping[str, Any]] = {
        TOOL_CALL: ToolCallData,
        TOOL_PROGRESS: ToolProgressData,
        TOOL_RESULT: ToolResultData,
    }

    def __init__(self, stream: EventSink | None = None, *, mode: Mode = "json") -> None:
        super().__init__(stream, mode=mode)
        self._calls: dict[tuple[Namespace, str], _Call] = {}
        self._scopes: dict[UUID, _Scope] = {}
        self._models: set[UUID] = set()  # the runs of models that may call tools
        self._running: dict[UUID, _Call] = {}
        self._paused: set[UUID] = set()  # the runs that wait; tools in threads may go on in them
        self._sender = SyncSender(self.sink)
        self._writer = self._send_progress  # the same object each time

    # -- models ----------------------------------------------------------------------------

    async def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note the run, unless its calls are not of the agent: internal, or a structured output."""
        decides = "ls_structured_output_format" in (options or {})
        scope = self._scope(parent_run_id)
        in_tool = scope is not None and scope.in_tool
        if any_run(ModelCall(tags or (), metadata or {})) and not (decides or in_tool):
            self._models.add(run_id)

    async def on_llm_end(
        self, response: LLMResult, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Note the calls of the model; what becomes of them in a graph, its step says."""
        message = message_of(response)
        if run_id not in self._models or message is None:
            return
        self._models.discard(run_id)
        scope = self._scope(parent_run_id)
        namespace = () if scope is None else scope.namespace
        await self._send_server_tools(message, run_id, namespace)
        for number, call in enumerate(message.tool_calls):
            noted = self._note(namespace, call["id"] or f"{run_id}/{number}", call)
            if scope is None:
                await self._tell(noted)

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Drop the run."""
        self._models.discard(run_id)

    async def _send_server_tools(
        self, message: AIMessage, run_id: UUID, namespace: Namespace
    ) -> None:
        """Send the calls that the provider has answered itself, with their results."""
        last: _Call | None = None
        for number, block in enumerate(server_tool_blocks(message)):
            if block["type"] == "server_tool_call":
                last = self._note(namespace, block.get("id") or f"{run_id}/{number}", block)
                await self._tell(last)
                continue
            call = self._find(namespace, block.get("tool_call_id")) or last
            if call is not None:
                is_error = block.get("status") == "error"
                await self._send_result(call, to_json(block.get("output")), is_error=is_error)

    # -- steps of graphs -------------------------------------------------------------------

    async def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note where the run is, and if it is a graph's step, the calls that it is given.

        Those that are not known here were sent by the run before, which was interrupted.
        """
        hear_progress(self._writer)
        scope = self._scope(parent_run_id)
        if is_step(tags):
            scope = _Scope(run_id, namespace_of(metadata))
            scope.step = scope
            for call in unanswered_calls(inputs):
                if self._find(scope.namespace, call["id"]) is None:
                    self._note(scope.namespace, call["id"], call).is_told = True
        if scope is not None:
            self._scopes[run_id] = scope

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Send the calls that a graph's step makes, and the results that it returns."""
        scope = self._scopes.pop(run_id, None)
        if scope is not None and scope.run == run_id:
            await self._end_step(scope, outputs)

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Send the results of a graph's step that has failed; one that waits will run again."""
        scope = self._scopes.pop(run_id, None)
        if is_pause(error):
            self._paused.add(run_id)
        if scope is None or scope.run != run_id:
            return
        command = parent_command(error)
        if command is not None or not is_pause(error):
            await self._end_step(scope, command)

    async def _end_step(self, scope: _Scope, outputs: Any) -> None:
        messages = messages_in(outputs)
        answers = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
        calls = [call for m in messages if isinstance(m, AIMessage) for call in m.tool_calls]
        for each in calls:
            if each["id"] not in answers:  # else it is history, or no call of a tool
                known = self._find(scope.namespace, each["id"])
                await self._tell(known or self._note(scope.namespace, str(each["id"]), each))
        for id_, message in answers.items():
            call = self._find(scope.namespace, id_)
            if call is not None and call.is_told:
                scope.ended.pop(call, None)
                await self._send_answer(call, message)
        for call, output in scope.ended.items():
            await self._send_answer(call, output)

    # -- tools -----------------------------------------------------------------------------

    async def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        tool_call_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Send the call if that was not done: nothing announces some, such as those by code."""
        if parent_run_id in self._paused:  # it will run again
            return
        around = self._scope(parent_run_id)
        scope = _Scope(run_id, in_tool=True)
        if around is not None:
            scope.namespace, scope.step = around.namespace, around.step
        self._scopes[run_id] = scope
        tool = (serialized or {}).get("name") or name or ""
        args = {"input": input_str} if inputs is None else inputs
        if tool == _INVALID_TOOL and "requested_tool_name" in args:
            tool, args = str(args["requested_tool_name"]), {}
            scope.is_unknown_tool = True
        call = self._call_for(scope.namespace, tool_call_id, tool, args)
        if call is None:
            if not NOSTREAM.isdisjoint(tags or ()):
                return
            call = _Call(tool_call_id or str(run_id), tool, args, scope.namespace)
            self._calls[scope.namespace, call.id] = call
        await self._tell(call)
        call.name, call.has_run, call.error = tool, True, None
        self._running[run_id] = call
        hear_progress(self._writer)

    async def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Send the result; in a step of a graph, what the step makes of it."""
        await self._end_tool(run_id, output)

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Send that the tool failed; one that waits for an answer will run again."""
        await self._end_tool(run_id, None, error)

    async def _end_tool(
        self, run_id: UUID, output: Any, error: BaseException | None = None
    ) -> None:
        call, scope = self._running.pop(run_id, None), self._scopes.pop(run_id, None)
        if call is None or scope is None or (error is not None and is_pause(error)):
            return
        if scope.step is not None and scope.step.run in self._paused:
            return
        call.error = error
        if scope.is_unknown_tool:
            await self._send_result(call, to_json(output), is_error=True)
        elif scope.step is None or call.id == str(run_id):  # no message will answer it
            await self._send_answer(call, output)
        else:
            scope.step.ended[call] = output

    def _call_for(
        self, namespace: Namespace, id_: str | None, name: str, args: Mapping[str, Any]
    ) -> _Call | None:
        """Return the call that a tool's run is.

        Older versions of LangChain do not say its id: then it is the first with the same arguments,
        or the only one that is left, whose arguments a person has changed.
        """
        if id_ is not None:
            return self._find(namespace, id_)
        running = self._running.values()
        left = [
            call
            for call in self._calls.values()
            if (call.name, call.namespace) == (name, namespace)
            and not (call.is_done or call in running)
        ]
        only = left[0] if len(left) == 1 else None
        return next((call for call in left if _is_same(call.args, args)), only)

    # -- what is sent ----------------------------------------------------------------------

    async def _tell(self, call: _Call) -> None:
        if not call.is_told:
            call.is_told = True
            args = to_json(call.args)
            data = ToolCallData.model_validate({**_place(call), "name": call.name, "args": args})
            await self._sender.send(payload_event(TOOL_CALL, data))

    def _send_progress(self, said: Any) -> None:
        """Send what the tool says that calls this, or that is around the code that does."""
        scope = self._scope(current_run())
        call = None if scope is None else self._running.get(scope.run)
        if call is None:
            return
        data = ToolProgressData.model_validate({**_place(call), "data": to_json(said)})
        self._sender.send_soon(payload_event(TOOL_PROGRESS, data))

    async def _send_answer(self, call: _Call, output: Any) -> None:
        """Send what the model is told, or that the tool has failed: why, only the log says."""
        if call.error is not None:
            was_cancelled = isinstance(call.error, asyncio.CancelledError)
            logger.info(
                "the call %s of the tool %r failed", call.id, call.name, exc_info=call.error
            )
            await self._send_result(call, CANCELLED if was_cancelled else FAILED, is_error=True)
            return
        answer = answer_in(output, call.id)
        if answer is None:
            content = None if is_command(output) else answer_json(output, ())
            await self._send_result(call, content)
        elif answer.status == "error":
            content = FAILED if call.has_run else to_json(answer.content)
            logger.info("call %s of the tool %r failed: %s", call.id, call.name, answer.content)
            await self._send_result(call, content, is_error=True)
        else:
            await self._send_result(call, to_json(answer.content))

    async def _send_result(
        self, call: _Call, content: JsonValue, *, is_error: bool = False
    ) -> None:
        if call.is_done:
            return
        call.is_done = True
        status = "error" if is_error else "success"
        data = {**_place(call), "name": call.name, "status": status, "content": content}
        event = payload_event(TOOL_RESULT, ToolResultData.model_validate(data))
        await self._sender.send(event)

    # -- the calls -------------------------------------------------------------------------

    def _scope(self, run: UUID | None) -> _Scope | None:
        return None if run is None else self._scopes.get(run)

    def _find(self, namespace: Namespace, id_: Any) -> _Call | None:
        """Return a call by its id, made where it is needed or in a graph around it."""
        for length in range(len(namespace), -1, -1):
            call = self._calls.get((namespace[:length], str(id_)))
            if call is not None:
                return call
        return None

    def _note(self, namespace: Namespace, id_: str, call: Mapping[str, Any]) -> _Call:
        """Keep a call; some models give an id again once its call is done."""
        known = self._calls.get((namespace, id_))
        if known is not None and not known.is_done:
            return known
        noted = _Call(id_, str(call["name"]), call["args"], namespace)
        self._calls[namespace, id_] = noted
        return noted


def _place(call: _Call) -> dict[str, Any]:
    """Return the fields of a payload that say which call it is about."""
    return {"id": call.id} | ({"namespace": list(call.namespace)} if call.namespace else {})


def _is_same(args: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Tell whether a tool runs with the arguments of a call, and at most with injected ones."""
    given = {"input": args["__arg1"]} if "__arg1" in args else args
    return all(key in inputs and inputs[key] == value for key, value in given.items())
