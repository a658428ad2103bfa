"""The inputs of a chain, as fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import (
    Runnable,
    RunnableAssign,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase, RunnableEachBase
from langchain_core.runnables.config import ensure_config, merge_configs, set_config_context
from langchain_core.runnables.configurable import DynamicRunnable
from pydantic import AfterValidator, PydanticUserError, RootModel
from typing_extensions import is_typeddict

from ..inputs.fields import AnyObject, Each, Fields, ModelFields, State, Value
from ..inputs.messages import TextOrMessages, with_messages
from ..inputs.parameters import runnable_hint
from ..inputs.types import (
    dumped_input,
    field_hint,
    hints_of,
    is_required,
    root_of,
    split_requiredness,
    takes_object,
    typed_dict_hints,
    without_requiredness,
)
from .base import class_path, is_a, nearest
from .classic import is_agent_executor, is_retrieval_qa
from .lcel import unwrap

__all__ = ["chain_inputs"]


def chain_inputs(
    chain: Runnable[Any, Any] | None, input_model: Any = None, declared: Any = None
) -> Fields:
    """Return the fields of the inputs that `chain` takes.

    A chain whose schema cannot be drawn, or that only says that it takes a dict, is called with
    the JSON object as it is, whatever its fields.

    Args:
        chain: The chain; None if it is not known, and the rest has to do.
        input_model: A Pydantic model that overrides what the chain says. The chain is called
            with its `model_dump()`, in which messages and documents stay what they are.
        declared: A class of which its factory says that the chain takes it. The chain is called
            with an instance if it says so, too; else as for `input_model`.
    """
    if input_model is not None:
        return _of_type(input_model, dump=True)
    own = AnyObject() if chain is None else _read(chain)
    return own if declared is None else _agreed(own, declared)


def _read(chain: Any) -> Fields:
    try:
        declared = getattr(chain, "custom_input_type", None)  # by .with_types()
        if declared is not None:
            return _of_declared(chain, declared)
        reader = nearest(chain, _READERS)
        return _described(chain) if reader is None else reader(chain)
    except Exception:  # noqa: BLE001  # schemas are LangChain's and users' code, and fail as they like
        return AnyObject()


def _of_binding(chain: Any) -> Fields:
    if "configurable" not in chain.config:
        return _read(chain.bound)
    with set_config_context(merge_configs(chain.config, ensure_config())) as context:
        return context.run(_read, chain.bound)  # which may choose among alternatives


def _of_declared(chain: Any, declared: Any) -> Fields:
    return _agreed(_read(chain.bound), declared)


def _agreed(own: Fields, declared: Any) -> Fields:
    """Return what is declared of a chain, in the form in which the chain itself takes it."""
    takes_it = isinstance(own, ModelFields) and own.body is declared
    return own if takes_it else _of_type(declared, dump=True)


def _described(chain: Any) -> Fields:
    """Read LangChain's own schema, by the names that the chain knows: some have an alias."""
    try:
        schema = chain.get_input_schema()
    except PydanticUserError:  # a typing.TypedDict before Python 3.12
        return _of_type(chain.InputType)
    if issubclass(schema, RootModel):
        return _of_type(schema.model_fields["root"].annotation)
    fields = schema.model_fields.items()
    return Fields({field.alias or name: field_hint(field) for name, field in fields})


def _of_type(kind: Any, *, dump: bool = False) -> Fields:
    """Return the fields of what a chain is called with; an object is the body itself."""
    if isinstance(kind, TypeVar):
        kind = Any
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    origin = get_origin(bare) or bare
    if is_typeddict(origin):
        return Fields(typed_dict_hints(bare))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return AnyObject(bare)
    if takes_object(root_of(bare)):
        return ModelFields(bare, dump=dump)
    if dump and root_of(bare) is not bare:  # a RootModel of something else than an object
        return Value(Annotated[bare, AfterValidator(dumped_input)])
    return Value(with_messages(kind))


def _of_steps(steps: Sequence[Any]) -> Fields:
    first, rest = steps[0], steps[1:]
    bare = unwrap(first)
    if rest and isinstance(bare, RunnablePassthrough):
        return _of_steps(rest)
    if rest and isinstance(bare, RunnableAssign):
        later = _of_steps(rest)
        return _merge(
            [_read(first), later.without(bare.mapper.steps__) if later.is_object else later]
        )
    return _read(first)


def _of_assign(chain: Any) -> Fields:
    needed = _read(chain.mapper)
    return needed if needed.is_known else AnyObject()


def _of_branch(chain: Any) -> Fields:
    """Require what every branch does; what a condition looks at may be missing."""
    branches = [_read(branch) for _, branch in chain.branches]
    conditions = [_read(condition) for condition, _ in chain.branches]
    always = _merge([_read(chain.default), *branches], all)
    return _merge([always, *map(_optional, conditions)])


def _optional(fields: Fields) -> Fields:
    if not fields.is_object:
        return fields
    return Fields(
        {name: NotRequired[without_requiredness(hint)] for name, hint in fields.hints.items()}
    )


def _of_history(chain: Any) -> Fields:
    """Add what the chain inside takes besides the history and the new messages."""
    own = _described(chain)
    inner = next(map(_read, unwrap(unwrap(chain).steps[-1]).deps), own)
    if not (own.is_object and inner.is_object):
        return own
    return _merge([inner.without({chain.history_messages_key}), own])


def _of_each(chain: Any) -> Fields:
    return Each(_read(chain.bound))


def _of_pick(chain: Any) -> Fields:
    keys = [chain.keys] if isinstance(chain.keys, str) else chain.keys
    return Fields(dict.fromkeys(keys, Any))


def _of_function(chain: Any) -> Fields:
    hint = runnable_hint(chain, chain.InputType)
    return _described(chain) if hint is Any else _of_type(hint)


def _of_graph(chain: Any) -> Fields:
    state = chain.builder.input_schema
    if is_typeddict(get_origin(state) or state):
        hints = _state_hints(state)
    elif takes_object(state):
        hints = hints_of(state)
    else:
        return _of_type(state)
    marked = get_type_hints(state, include_extras=True)
    omitted = {name for name, hint in marked.items() if _is_omitted(hint)}
    own = omitted.union(chain.builder.managed)  # such as the number of steps that are left
    return State({name: hint for name, hint in hints.items() if name not in own})


def _state_hints(state: Any) -> dict[str, Any]:
    """Require of a state what says so itself, and messages; the rest comes from its nodes."""
    marked = get_type_hints(state, include_extras=True)
    hints = {}
    for name, hint in marked.items():
        mark, bare = split_requiredness(hint)
        required = mark is Required or (mark is None and name == "messages")
        hints[name] = with_messages(bare) if required else NotRequired[with_messages(bare)]
    return hints


def _is_omitted(hint: Any) -> bool:
    """Tell whether agents mark a field of their state as none of the client's business."""
    return any(
        is_a(mark, "langchain.agents.middleware.types.OmitFromSchema") and mark.input
        for mark in getattr(without_requiredness(hint), "__metadata__", ())
    )


def _of_classic(chain: Any) -> Fields:
    """Read a classic chain, which names its inputs and often nothing more about them."""
    if is_retrieval_qa(chain):
        return Fields({chain.input_key: str})
    known = _read(_best_known(chain)) if _best_known(chain) else _described(chain)
    if not chain.input_keys and not known.is_object:
        return known
    required = {key: without_requiredness(known.hints.get(key, Any)) for key in chain.input_keys}
    fields = Fields(known.hints | required).without(_supplied(chain))
    if "chat_history" in fields.hints and hasattr(chain, "get_chat_history"):
        optional = {"chat_history": NotRequired[fields.hints["chat_history"]]}
        return Fields(fields.hints | optional, {"chat_history": list})
    return fields


def _best_known(chain: Any) -> Any:
    """Return what says more than the chain about its inputs: the agent inside, or the prompt."""
    if is_agent_executor(chain) and not chain.input_keys:
        return chain.agent.runnable
    return getattr(chain, "prompt", None)


def _supplied(chain: Any) -> set[str]:
    """Return the inputs of a classic chain that its memory or its agent supplies."""
    remembered = chain.memory.memory_variables if chain.memory is not None else ()
    return {"agent_scratchpad", "intermediate_steps", *remembered}


_READERS: dict[str, Callable[[Any], Fields]] = {
    class_path(BaseLanguageModel): lambda _: Value(TextOrMessages),
    class_path(DynamicRunnable): lambda chain: _read(chain.prepare()[0]),
    class_path(RunnableAssign): _of_assign,
    class_path(RunnableBindingBase): _of_binding,
    class_path(RunnableBranch): _of_branch,
    class_path(RunnableEachBase): _of_each,
    class_path(RunnableLambda): _of_function,
    class_path(RunnableParallel): lambda chain: _merge([_read(s) for s in chain.steps__.values()]),
    class_path(RunnablePick): _of_pick,
    class_path(RunnableSequence): lambda chain: _of_steps(chain.steps),
    class_path(RunnableWithFallbacks): lambda chain: _read(chain.runnable),
    "langchain_core.runnables.history.RunnableWithMessageHistory": _of_history,
    "langchain_classic.chains.base.Chain": _of_classic,
    "langgraph.graph.state.CompiledStateGraph": _of_graph,
}


def _merge(parts: Sequence[Fields], needed: Callable[[Iterable[bool]], bool] = any) -> Fields:
    """Return the fields of what several runnables take that get the same input.

    Args:
        parts: What each takes.
        needed: Whether a field is required that `any`, or only that `all` of them require.
    """
    known = [part for part in parts if part.is_known]
    if not known or not known[0].is_object:
        return (known or parts)[0]
    objects = [part.hints for part in known if part.is_object]
    names = dict.fromkeys(name for hints in objects for name in hints)
    return Fields({name: _common(name, objects, needed) for name in names})


def _common(
    name: str, objects: list[dict[str, Any]], needed: Callable[[Iterable[bool]], bool]
) -> Any:
    found = [without_requiredness(hints[name]) for hints in objects if name in hints]
    hint = next((hint for hint in found if hint is not Any), Any)
    required = needed(name in hints and is_required(hints[name]) for hints in objects)
    return hint if required else NotRequired[hint]
