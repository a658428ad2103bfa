"""Whatever a chain takes as an object, its inputs take, and pass on as it is.

Chains are made of all parts of LangChain's expression language. What the inputs refuse although
`invoke` takes it has one of the reasons that `docs/reference/inputs.md` gives.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
)
from typing_extensions import TypedDict

from quart_lanarky.adapters.langchain.inputs.fields import Fields, Value
from quart_lanarky.adapters.langchain.inputs.open_inputs import AnyValue
from quart_lanarky.adapters.langchain.kinds.chain_inputs import chain_inputs
from quart_lanarky.errors import InputError

Chain = Runnable[Any, Any]

KEYS = ("a", "b", "input")
PARTIAL = "rules"
EXTRA = "extra"


class OfA(TypedDict):
    a: Any


# -- parts ---------------------------------------------------------------------------------


def f_string(keys: tuple[str, ...]) -> Chain:
    return PromptTemplate.from_template(" ".join(f"{{{key}}}" for key in keys))


def partial_chat(keys: tuple[str, ...]) -> Chain:
    prompt = ChatPromptTemplate.from_template(f"{{{PARTIAL}}} {{{keys[0]}}}")
    return prompt.partial(**{PARTIAL: "none"}) | RunnableLambda(lambda said: said.to_string())


def mustache(keys: tuple[str, ...]) -> Chain:
    template = " ".join(f"{{{{{key}}}}}" for key in keys)
    return PromptTemplate.from_template(template, template_format="mustache")


def by_item(keys: tuple[str, ...]) -> Chain:
    return RunnableLambda(lambda given: [given[key] for key in keys])


def by_get(keys: tuple[str, ...]) -> Chain:
    return RunnableLambda(lambda given: [given.get(key) for key in keys])


def whole(_: tuple[str, ...]) -> Chain:
    return RunnableLambda(lambda given: repr(sorted(given.items())))


def of_dict(keys: tuple[str, ...]) -> Chain:
    def read(given: dict[str, Any]) -> Any:
        return given[keys[0]]

    return RunnableLambda(read)


def of_typed_dict(_: tuple[str, ...]) -> Chain:
    def read(given: OfA) -> Any:
        return given["a"]

    return RunnableLambda(read)


def of_text(_: tuple[str, ...]) -> Chain:
    def read(given: str) -> str:
        return given.upper()

    return RunnableLambda(read)


def getter(keys: tuple[str, ...]) -> Chain:
    return RunnableLambda(itemgetter(*keys))


def pick(keys: tuple[str, ...]) -> Chain:
    return RunnablePick(list(keys))


def pick_one(keys: tuple[str, ...]) -> Chain:
    return RunnablePick(keys[0])


def pass_on(_: tuple[str, ...]) -> Chain:
    return RunnablePassthrough()


def watch(_: tuple[str, ...]) -> Chain:
    return RunnablePassthrough(lambda given: given["a"])


LEAVES: tuple[Callable[[tuple[str, ...]], Chain], ...] = (
    f_string,
    partial_chat,
    mustache,
    by_item,
    by_get,
    whole,
    of_dict,
    of_typed_dict,
    of_text,
    getter,
    pick,
    pick_one,
    pass_on,
    watch,
)

some_keys = st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True).map(tuple)
leaves = st.builds(lambda make, keys: make(keys), st.sampled_from(LEAVES), some_keys)


def composed(parts: st.SearchStrategy[Chain]) -> st.SearchStrategy[Chain]:
    steps = st.dictionaries(st.sampled_from(KEYS), parts, min_size=1, max_size=2)
    dicts = st.one_of(
        st.builds(RunnableParallel, steps),
        st.builds(lambda s: RunnablePassthrough.assign(**s), steps),
    )
    conditions = st.one_of(
        st.just(lambda given: bool(given.get("a"))), some_keys.map(lambda keys: itemgetter(*keys))
    )
    return st.one_of(
        dicts,
        st.builds(lambda first, then: first | then, dicts, parts),
        st.builds(lambda first, then: RunnablePassthrough() | first | then, dicts, parts),
        st.builds(lambda first, then: first.with_config(tags=["x"]) | then, dicts, parts),
        st.builds(lambda c, yes, no: RunnableBranch((c, yes), no), conditions, parts, parts),
        st.builds(lambda part, other: part.with_fallbacks([other]), parts, parts),
        st.builds(lambda part: part.with_config(tags=["x"]), parts),
        st.builds(lambda part: part.with_types(input_type=dict), parts),
    )


chains = st.recursive(leaves, composed, max_leaves=6)

# -- inputs --------------------------------------------------------------------------------

scalars = st.one_of(st.text(max_size=3), st.integers(-2, 2), st.booleans(), st.none())
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(st.sampled_from(KEYS), scalars, max_size=2),
)
objects = st.dictionaries(st.sampled_from((*KEYS, EXTRA, PARTIAL)), values, max_size=5)


def outcome(chain: Chain, given: Any) -> Any:
    """Return what a chain makes of an input, in a list; None if it fails."""
    try:
        return [repr(chain.invoke(given))]
    except Exception:  # noqa: BLE001  # LangChain and the parts raise what they like
        return None


PLAIN = "Input should be a text, a number or a boolean"
UNREAD = "Extra inputs are not permitted"
MISSING = "Field required"


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(chains, objects)
@example(RunnablePassthrough.assign(input=by_get(("input",))) | f_string(("input",)), {"input": []})
@example({"a": by_item(("a",)), "b": getter(("b",))} | f_string(("a",)), {"a": 1, "b": 2, EXTRA: 3})
def test_what_a_chain_takes_its_inputs_take(chain: Chain, sent: dict[str, Any]) -> None:
    fields = chain_inputs(chain)
    taken, refusal = taken_or_refused(fields, sent)
    if refusal is not None:
        assert outcome(chain, sent) is None or is_explained(chain, sent, refusal)
    elif isinstance(fields, AnyValue | Value) and sent.keys() == {"input"}:
        assert taken == sent["input"]
    else:
        assert repr(sorted(taken.items())) == repr(sorted(sent.items()))


def taken_or_refused(fields: Fields, sent: dict[str, Any]) -> tuple[Any, InputError | None]:
    try:
        return fields.for_chain(dict(sent)), None
    except InputError as error:
        return None, error


def is_explained(chain: Chain, sent: dict[str, Any], refusal: InputError) -> bool:
    """Tell whether an input was refused, though the chain takes it, for a documented reason."""
    if type(chain_inputs(chain)) is Value:  # it says that it takes a text
        return True
    wrong = dict(refusal.fields)
    wrong.pop(PARTIAL, None)
    unread = {name for name, why in wrong.items() if why == UNREAD}
    rest = {name: value for name, value in sent.items() if name not in unread}
    read = outcome(chain, rest) != outcome(chain, sent)
    others = {why for why in wrong.values() if why != UNREAD}
    return not read and others <= ({PLAIN, MISSING} if "Fallbacks" in repr(chain) else {PLAIN})
