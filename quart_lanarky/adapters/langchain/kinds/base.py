"""What is recorded of a kind of chain, and a registry of such records.

The kind of a chain follows from the classes that it derives from. Their full names are compared
and not the classes, so that nothing has to be imported: if nobody imported `langchain-classic`
or `langgraph`, no chain is of theirs.

A kind of chain is added by one record. The functions in it get the registry, which they ask
about the chains inside a chain:

    def _tag_retrying(chain, key, kinds):
        tagged = kinds.tag(chain.inner, key)
        return tagged.within(chain.model_copy(update={"inner": tagged.chain}))

    RETRYING = ChainKind(
        "my_package.Retrying",
        tag=_tag_retrying,
        inputs=lambda chain, kinds: kinds.inputs(chain.inner),
        output=lambda chain, kinds: kinds.output(chain.inner),
        children=lambda chain: [chain.inner],
    )
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..inputs.fields import Fields
from ..inputs.open_inputs import AnyInput
from .input_fields import declared_fields, schema_fields
from .output_types import is_object, json_type
from .tagging import TAGGED_MODELS, TaggedChain

__all__ = [
    "ChainKind",
    "ChainKinds",
    "always",
    "class_path",
    "has_memory",
    "is_a",
    "nearest",
    "never",
    "no_children",
]

T = TypeVar("T")

Tagger = Callable[[Any, str | None, "ChainKinds"], TaggedChain]
"""Tags a chain whose answer is under a key of its output, or is all of it."""

InputsReader = Callable[[Any, "ChainKinds"], Fields]
OutputReader = Callable[[Any, "ChainKinds"], Any]
Children = Callable[[Any], Iterable[Any]]


def class_path(kind: type) -> str:
    """Return the full name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def nearest(thing: Any, table: Mapping[str, T]) -> T | None:
    """Return what the table has for the nearest class that `thing` derives from."""
    paths = map(class_path, type(thing).__mro__)
    return next((table[path] for path in paths if path in table), None)


def is_a(thing: Any, *paths: str) -> bool:
    """Tell whether `thing` derives from one of the classes with these full names."""
    return nearest(thing, dict.fromkeys(paths, True)) is not None


def always(chain: Any, *_: Any) -> bool:
    """Return True, for every chain of a kind."""
    return True


def never(chain: Any, *_: Any) -> bool:
    """Return False, for every chain of a kind."""
    return False


def no_children(chain: Any) -> Iterable[Any]:
    """Return no runnables, for every chain of a kind: it is a component and runs no other."""
    return ()


def has_memory(chain: Any) -> bool:
    """Tell whether a chain has a memory, as classic chains have, or a checkpointer, as graphs."""
    kept = (getattr(chain, name, None) for name in ("memory", "checkpointer"))
    return any(each is not None and each is not False for each in kept)


def _leave_untagged(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    path = () if key is None else ((key,),)
    return TaggedChain(chain, replace(TAGGED_MODELS, output_path=path))


def _from_schema(chain: Any, kinds: ChainKinds) -> Fields:
    return schema_fields(chain)


def _unknown_output(chain: Any, kinds: ChainKinds) -> Any:
    return Any


@dataclass(frozen=True)
class ChainKind:
    """All that is known of one kind of chain; the defaults hold for a chain of unknown kind.

    A record also holds for subclasses that have none of their own. Nothing is inherited by one
    that has: such records are copies, as in `replace(BINDING, path=…, tag=…)`.

    Attributes:
        path: The full name of the class.
        tag: Tags the models in it that produce its answer, and finds where its output has the
            answer.
        inputs: Returns the fields of its inputs.
        output: Returns the type of its answer in JSON; Any if that is not known.
        children: Returns all that it runs; None if it may run what cannot be seen from outside.
        streamed_children: Returns those of its children whose chunks LangChain passes on when it
            streams the chain; None if that holds for all of them.
        needs_invoke: Tells whether streaming it loses what invoking it gives, such as a retry.
        reports_end: Tells whether its handlers are called with what it returns, once and at last.
            Subclasses with an `ainvoke` of their own do not count: what they make of the output
            comes after the handlers were called.
        keeps_history: Tells whether it keeps the messages of a conversation itself, whatever it
            runs.
        may_interrupt: Tells whether it may return what it waits for instead of its answer.
    """

    path: str
    tag: Tagger = _leave_untagged
    inputs: InputsReader = _from_schema
    output: OutputReader = _unknown_output
    children: Children | None = None
    streamed_children: Children | None = None
    needs_invoke: Callable[[Any], bool] = never
    reports_end: Callable[[Any, ChainKinds], bool] = never
    keeps_history: Callable[[Any], bool] = has_memory
    may_interrupt: Callable[[Any], bool] = never

    def class_of(self, chain: Any) -> type[Any]:
        """Return the class of this kind that `chain` derives from."""
        return next(each for each in type(chain).__mro__ if class_path(each) == self.path)


UNKNOWN = ChainKind("")


class ChainKinds:
    """A registry of kinds, which answers for any chain by the record of its nearest kind.

    Args:
        kinds: The records, one per class.
    """

    def __init__(self, kinds: Iterable[ChainKind]) -> None:
        self._by_path = {kind.path: kind for kind in kinds}

    def kind_of(self, chain: Any) -> ChainKind:
        """Return the record for the nearest class that `chain` derives from."""
        return nearest(chain, self._by_path) or UNKNOWN

    def tag(self, chain: Any, key: str | None = None) -> TaggedChain:
        """Tag the models that produce the answer of `chain`.

        Args:
            chain: The chain; it is not changed.
            key: Under which key of its output the answer is; None if its kind knows.
        """
        return self.kind_of(chain).tag(chain, key, self)

    def inputs(self, chain: Any) -> Fields:
        """Return the fields of the inputs that `chain` takes; any object if they are unknown."""
        try:
            declared = getattr(chain, "custom_input_type", None)  # by .with_types()
            if declared is not None:
                return declared_fields(self.inputs(chain.bound), declared)
            return self.kind_of(chain).inputs(chain, self)
        except Exception:  # noqa: BLE001  # schemas are LangChain's and users' code, and fail as they like
            return AnyInput()

    def output(self, chain: Any) -> Any:
        """Return the type of a chain's answer in JSON: Any if that is not known.

        Raises:
            Exception: Whatever the types of LangChain or a user raise when they are looked at.
        """
        declared = getattr(chain, "custom_output_type", None)  # by .with_types()
        if declared is None:
            return self.kind_of(chain).output(chain, self)
        kind = json_type(declared)
        is_part = is_object(kind) and self.tag(chain).spec.output_path
        return Any if is_part else kind

    def may_retrieve(self, chain: Any) -> bool:
        """Tell whether `chain` may look documents up: yes, unless all that it runs can be seen."""
        children = self.kind_of(chain).children
        return children is None or any(map(self.may_retrieve, children(chain)))

    def keeps_history(self, chain: Any) -> bool:
        """Tell whether `chain` or anything in it keeps the messages of a conversation."""
        kind = self.kind_of(chain)
        children = kind.children or no_children
        return kind.keeps_history(chain) or any(map(self.keeps_history, children(chain)))

    def may_interrupt(self, chain: Any) -> bool:
        """Tell whether `chain` or anything that is seen in it may wait for a person."""
        kind = self.kind_of(chain)
        children = kind.children or no_children
        return kind.may_interrupt(chain) or any(map(self.may_interrupt, children(chain)))

    def needs_invoke(self, chain: Any) -> bool:
        """Tell whether streaming `chain` loses what invoking it gives, such as a retry."""
        kind = self.kind_of(chain)
        streamed = kind.streamed_children or kind.children or no_children
        return kind.needs_invoke(chain) or any(map(self.needs_invoke, streamed(chain)))

    def reports_end(self, chain: Any) -> bool:
        """Tell whether a chain's handlers are called with what it returns, once and at last."""
        kind = self.kind_of(chain)
        is_own = kind.reports_end(chain, self)
        return is_own and type(chain).ainvoke is kind.class_of(chain).ainvoke
