"""What a graph waits for: its interrupts, in the forms in which LangGraph gives them.

A graph returns them in its output, under ``__interrupt__``. Its own callbacks are told nothing of
them: they see the nodes fail with a ``GraphInterrupt``, and the graph return its state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....events import Interrupt
from .extraction import INTERRUPT_KEY, to_json
from .graph_runs import is_interrupt

__all__ = ["Pause", "interrupts_in", "interrupts_of", "interrupts_of_error", "with_interrupts"]


@dataclass(frozen=True)
class Pause:
    """A step before which a graph waits, by `interrupt_before=` or `interrupt_after=`.

    Attributes:
        id: The id of the step's task.
        step: The step's name.
    """

    id: str
    step: str


def interrupts_in(output: Any) -> list[Interrupt]:
    """Return what the graph waits for that returned `output`; nothing if it has ended."""
    found = output.get(INTERRUPT_KEY) if isinstance(output, Mapping) else None
    return interrupts_of(found) if isinstance(found, list | tuple) else []


def interrupts_of(found: Iterable[Any]) -> list[Interrupt]:
    """Return the payloads for what LangGraph gives, each once; a remote graph gives dicts."""
    interrupts = map(_payload, found)
    return list({interrupt.id: interrupt for interrupt in interrupts}.values())


def _payload(found: Any) -> Interrupt:
    if isinstance(found, Pause):
        schema = {"enum": [None, True]}  # to refuse it, let it wait
        return Interrupt(id=found.id, value=None, response_schema=schema, step=found.step)
    value, schema = _read(found, "value"), _read(found, "response_schema")
    return Interrupt(
        id=str(_read(found, "id") or _read(found, "interrupt_id") or ""),
        value=to_json(value),
        response_schema=to_json(schema) if isinstance(schema, Mapping) else decisions_schema(value),
    )


def _read(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)


def interrupts_of_error(error: BaseException) -> Sequence[Any]:
    """Return the interrupts that a node's failure stands for; none if it is a failure."""
    found = error.args[0] if is_interrupt(error) and error.args else ()
    return found if isinstance(found, Sequence) else ()


def with_interrupts(output: Any, found: Sequence[Any]) -> Any:
    """Return the output of a graph as `ainvoke` does, with the interrupts that ended it."""
    if not found or (isinstance(output, Mapping) and INTERRUPT_KEY in output):
        return output
    state = output if isinstance(output, Mapping) else {}
    return {**state, INTERRUPT_KEY: list(found)}


def decisions_schema(value: Any) -> dict[str, Any] | None:
    """Return the schema of the answer to a request of LangChain's `HumanInTheLoopMiddleware`.

    In its batched mode the middleware asks for a decision on each of several tool calls, and gives
    no schema. A decision that does not fit would be an error in the middle of the run. An edit may
    change the arguments of a call and not its tool: which tools need a person's word is for the
    app to say.
    """
    match value:
        case {"action_requests": [*requests], "review_configs": [*configs]} if requests:
            items = [
                _decision_schema(request, config)
                for request, config in zip(requests, configs, strict=False)
            ]
        case _:
            return None
    decisions = {
        "type": "array",
        "prefixItems": items,
        "items": False,
        "minItems": len(requests),
        "maxItems": len(requests),
    }
    return {
        "type": "object",
        "properties": {"decisions": decisions},
        "required": ["decisions"],
        "additionalProperties": False,
    }


def _decision_schema(request: Any, config: Any) -> dict[str, Any]:
    name = {"type": "string", "const": request.get("name")}
    args = config.get("args_schema") or {"type": "object"}
    action = {
        "type": "object",
        "properties": {"name": name, "args": args},
        "required": ["name", "args"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": list(config.get("allowed_decisions") or ())},
            "edited_action": action,
            "message": {"type": "string"},
        },
        "required": ["type"],
        "additionalProperties": False,
        "allOf": [_requires("edit", "edited_action"), _requires("respond", "message")],
    }


def _requires(decision: str, field: str) -> dict[str, Any]:
    is_this = {"properties": {"type": {"const": decision}}, "required": ["type"]}
    return {"if": is_this, "then": {"required": [field]}}
