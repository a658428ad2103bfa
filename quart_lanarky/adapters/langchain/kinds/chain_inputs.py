"""The inputs of a chain, as fields."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import Runnable

from ..inputs.fields import Fields
from ..inputs.open_inputs import AnyInput
from .input_fields import declared_fields, fields_of_type
from .registry import CHAIN_KINDS

__all__ = ["chain_inputs"]


def chain_inputs(
    chain: Runnable[Any, Any] | None, input_model: Any = None, declared: Any = None
) -> Fields:
    """Return the fields of the inputs that `chain` takes.

    A chain whose schema cannot be built, or whose input type is just a dict, is called with the
    JSON object as it is, whatever its fields.

    Args:
        chain: The chain; None if it is not known, and the rest has to do.
        input_model: A Pydantic model that overrides the chain's own schema. The chain is called
            with its `model_dump()`, in which messages and documents stay what they are.
        declared: The input type in the annotation of its factory. The chain is called with an
            instance if its own input type is the same; else as for `input_model`.
    """
    if input_model is not None:
        return fields_of_type(input_model, dump=True)
    own = AnyInput() if chain is None else CHAIN_KINDS.inputs(chain)
    return own if declared is None else declared_fields(own, declared)
