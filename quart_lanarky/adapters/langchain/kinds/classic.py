"""The kinds of chains and agents in `langchain-classic`.

Most are a chain around a chain: the answer is that of the chain in one of their fields, and of
nothing else that runs. What they return is a dict, and what runs in them cannot all be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NotRequired

from langchain_core.output_parsers import BaseOutputParser, StrOutputParser

from ..handlers.selection import AnswerSpec, StopPattern
from ..handlers.text_filters import DEFAULT_ANSWER_PREFIX_TOKENS
from ..inputs.fields import Fields
from ..inputs.types import without_requiredness
from .base import ChainKind, ChainKinds, Tagger, is_a, nearest
from .input_fields import schema_fields
from .output_types import json_type
from .tagging import TAGGED_MODELS, TaggedChain, tag_alternatives, with_step

__all__ = ["KINDS"]

_CHAINS = "langchain_classic.chains"
_COMBINE = f"{_CHAINS}.combine_documents"
_AGENTS = "langchain_classic.agents"

# -- any chain -----------------------------------------------------------------------------

_BESIDE_THE_ANSWER = ("intermediate_steps", "source_documents")


def _leave_untagged(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Leave a chain as it is whose inside cannot be seen, such as a user's own."""
    return _returning_dict(chain, key, TaggedChain(chain))


def _returning_dict(chain: Any, key: str | None, tagged: TaggedChain) -> TaggedChain:
    """Return `tagged` with what holds for all classic chains: their output is a dict."""
    path = ((_answer_key(chain, key),),)
    return replace(tagged, spec=replace(tagged.spec, output_path=path, returns_documents=True))


def _answer_key(chain: Any, key: str | None) -> str:
    """Return the output that is the answer: the first that is not there to explain it."""
    keys = [key] if key else [k for k in chain.output_keys if k not in _BESIDE_THE_ANSWER]
    return keys[0] if keys else "output"


def _replaced(
    chain: Any, key: str | None, update: dict[str, Any], inner: TaggedChain
) -> TaggedChain:
    """Return `chain` with tagged chains in some fields; its answer is that of `inner`."""
    return _returning_dict(chain, key, TaggedChain(chain.model_copy(update=update), inner.spec))


def _tag_field(field: str) -> Tagger:
    """Make the tagger of chains whose answer is that of the chain in one field."""

    def tag(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
        if key is not None and key != _answer_key(chain, None):
            return _leave_untagged(chain, key, kinds)  # an output that is usually beside the answer
        tagged = kinds.tag(getattr(chain, field))
        return _replaced(chain, key, {field: tagged.chain}, tagged)

    return tag


def _chain_inputs(chain: Any, kinds: ChainKinds) -> Fields:
    prompt = getattr(chain, "prompt", None)
    return _named_inputs(chain, kinds.inputs(prompt) if prompt else schema_fields(chain))


def _named_inputs(chain: Any, known: Fields) -> Fields:
    """Return the inputs that a chain names.

    Args:
        chain: The chain; it often knows nothing more than the names.
        known: What else is known of them.
    """
    if not chain.input_keys and not known.is_object:
        return known
    supplied, named = _supplied(chain), known.hints if known.is_known else {}
    required = {key: without_requiredness(named.get(key, Any)) for key in chain.input_keys}
    hints = {k: hint for k, hint in (named | required).items() if k not in supplied}
    if "chat_history" in hints and hasattr(chain, "get_chat_history"):
        optional = {"chat_history": NotRequired[hints["chat_history"]]}
        return Fields(hints | optional, {"chat_history": list})
    is_open = known.is_open and not chain.input_keys
    return Fields(hints, is_open=is_open, reserved=known.reserved | supplied)


def _supplied(chain: Any) -> set[str]:
    """Return the inputs of a chain that its memory or its agent supplies."""
    remembered = chain.memory.memory_variables if chain.memory is not None else ()
    return {"agent_scratchpad", "intermediate_steps", *remembered}


CHAIN = ChainKind(f"{_CHAINS}.base.Chain", tag=_leave_untagged, inputs=_chain_inputs)

# -- a prompt and a model ------------------------------------------------------------------


def _tag_llm_chain(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    if type(chain.output_parser) is not StrOutputParser:
        return _leave_untagged(chain, key, kinds)
    return _tag_field("llm")(chain, key, kinds)


LLM_CHAIN = replace(
    CHAIN,
    path=f"{_CHAINS}.llm.LLMChain",
    tag=_tag_llm_chain,
    output=lambda chain, _: json_type(chain.output_parser.OutputType),
)

# -- retrieval, and what combines documents ------------------------------------------------

_STUFF = f"{_COMBINE}.stuff.StuffDocumentsChain"
_SOURCES = StopPattern(r"SOURCES?:|QUESTION:\s", len("QUESTION: "))
"""How the chains with sources take the sources off the model's text."""


def _retrieval_qa_output(chain: Any, kinds: ChainKinds) -> Any:
    combine = chain.combine_documents_chain
    return kinds.output(combine.llm_chain) if is_a(combine, _STUFF) else Any


RETRIEVAL_QA = replace(
    CHAIN,
    path=f"{_CHAINS}.retrieval_qa.base.BaseRetrievalQA",
    tag=_tag_field("combine_documents_chain"),
    inputs=lambda chain, _: Fields({chain.input_key: str}),
    output=_retrieval_qa_output,
)
CONVERSATIONAL_RETRIEVAL = replace(
    CHAIN,
    path=f"{_CHAINS}.conversational_retrieval.base.BaseConversationalRetrievalChain",
    tag=_tag_field("combine_docs_chain"),
)


def _tag_qa_with_sources(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    tagged = _tag_field("combine_documents_chain")(chain, key, kinds)
    return replace(tagged, spec=replace(tagged.spec, stop_pattern=_SOURCES))


QA_WITH_SOURCES = replace(
    CHAIN,
    path=f"{_CHAINS}.qa_with_sources.base.BaseQAWithSourcesChain",
    tag=_tag_qa_with_sources,
)
ANALYZE_DOCUMENT = replace(
    CHAIN, path=f"{_COMBINE}.base.AnalyzeDocumentChain", tag=_tag_field("combine_docs_chain")
)
STUFF_DOCUMENTS = replace(CHAIN, path=_STUFF, tag=_tag_field("llm_chain"))
MAP_REDUCE = replace(
    CHAIN,
    path=f"{_COMBINE}.map_reduce.MapReduceDocumentsChain",
    tag=_tag_field("reduce_documents_chain"),
)


def _tag_reduce(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Tag the last step, and not the same chain where it makes too many documents fewer."""
    tagged = kinds.tag(chain.combine_documents_chain)
    collapse = chain.collapse_documents_chain or chain.combine_documents_chain
    update = {"combine_documents_chain": tagged.chain, "collapse_documents_chain": collapse}
    return _replaced(chain, key, update, tagged)


REDUCE = replace(CHAIN, path=f"{_COMBINE}.reduce.ReduceDocumentsChain", tag=_tag_reduce)

# -- sequences and routers -----------------------------------------------------------------


def _tag_sequential(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Tag the chain that returns the only output, or the one that is named."""
    if key is None and len(chain.output_variables) > 1:
        return TaggedChain(chain, replace(TAGGED_MODELS, returns_documents=True))
    wanted = _answer_key(chain, key)
    index = next((i for i, c in enumerate(chain.chains) if wanted in c.output_keys), None)
    if index is None:
        return _leave_untagged(chain, key, kinds)
    return _tag_nth(chain, index, wanted, kinds)


def _tag_nth(chain: Any, index: int, key: str | None, kinds: ChainKinds) -> TaggedChain:
    tagged = kinds.tag(chain.chains[index], key)
    chains = [*chain.chains[:index], tagged.chain, *chain.chains[index + 1 :]]
    return _replaced(chain, key, {"chains": chains}, tagged)


SEQUENTIAL = replace(CHAIN, path=f"{_CHAINS}.sequential.SequentialChain", tag=_tag_sequential)


def _tag_simple_sequential(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    tagged = _tag_nth(chain, len(chain.chains) - 1, None, kinds)
    return replace(tagged, spec=replace(tagged.spec, strip=chain.strip_outputs))


SIMPLE_SEQUENTIAL = replace(
    CHAIN, path=f"{_CHAINS}.sequential.SimpleSequentialChain", tag=_tag_simple_sequential
)


def _tag_multi_route(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Tag all destinations: the answer comes from one of them."""
    tagged = {name: kinds.tag(each) for name, each in chain.destination_chains.items()}
    default = kinds.tag(chain.default_chain)
    destinations = {name: each.chain for name, each in tagged.items()}
    update = {"destination_chains": destinations, "default_chain": default.chain}
    options = [default, *tagged.values()]
    return _returning_dict(chain, key, tag_alternatives(chain, update, options))


MULTI_ROUTE = replace(CHAIN, path=f"{_CHAINS}.router.base.MultiRouteChain", tag=_tag_multi_route)

# -- agents --------------------------------------------------------------------------------


def _tag_executor(chain: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    agent, parser = _tag_agent(chain.agent, kinds)
    prefix = None if parser is None else (nearest(parser, _PREFIXES) or _any_prefix)(parser)
    spec = AnswerSpec(
        TAGGED_MODELS.answer_runs,
        ((_answer_key(chain, key),),),
        prefix=prefix,
        strip=prefix is not None,
        has_tools=prefix is None,
        is_agent=True,
        returns_documents=True,
    )
    return TaggedChain(chain.model_copy(update={"agent": agent}), spec)


def _tag_agent(agent: Any, kinds: ChainKinds) -> tuple[Any, Any]:
    """Return the agent with its own model tagged, and the parser of the model's text."""
    if hasattr(agent, "llm_chain"):
        chain = kinds.tag(agent.llm_chain).chain
        return agent.model_copy(update={"llm_chain": chain}), getattr(agent, "output_parser", None)
    runnable = getattr(agent, "runnable", None)
    steps = getattr(runnable, "steps", [])
    if len(steps) < 2 or not isinstance(steps[-1], BaseOutputParser):  # noqa: PLR2004
        return agent, None
    # The parser makes steps of the text of the model before it, which is the agent's own.
    runnable = with_step(runnable, len(steps) - 2, kinds.tag(steps[-2]).chain)
    return agent.model_copy(update={"runnable": runnable}), steps[-1]


def _any_prefix(parser: Any) -> tuple[str, ...] | None:
    return DEFAULT_ANSWER_PREFIX_TOKENS


def _no_prefix(parser: Any) -> tuple[str, ...] | None:
    return None


_PREFIXES: dict[str, Callable[[Any], tuple[str, ...] | None]] = {
    f"{_AGENTS}.output_parsers.tools.ToolsAgentOutputParser": _no_prefix,
    f"{_AGENTS}.output_parsers.openai_tools.OpenAIToolsAgentOutputParser": _no_prefix,
    f"{_AGENTS}.output_parsers.openai_functions.OpenAIFunctionsAgentOutputParser": _no_prefix,
    f"{_AGENTS}.conversational.output_parser.ConvoOutputParser": lambda p: (p.ai_prefix, ":"),
    f"{_AGENTS}.output_parsers.self_ask.SelfAskOutputParser": lambda p: (p.finish_string,),
}
"""The text by which an agent announces its answer, by the parser of its model's text."""


def _executor_inputs(chain: Any, kinds: ChainKinds) -> Fields:
    """Return the inputs of the agent inside, where the executor names none of its own."""
    agent = None if chain.input_keys else chain.agent.runnable
    return _named_inputs(chain, kinds.inputs(agent) if agent else schema_fields(chain))


AGENT_EXECUTOR = replace(
    CHAIN,
    path=f"{_AGENTS}.agent.AgentExecutor",
    tag=_tag_executor,
    inputs=_executor_inputs,
)

KINDS = (
    CHAIN,
    LLM_CHAIN,
    RETRIEVAL_QA,
    CONVERSATIONAL_RETRIEVAL,
    QA_WITH_SOURCES,
    ANALYZE_DOCUMENT,
    STUFF_DOCUMENTS,
    MAP_REDUCE,
    REDUCE,
    SEQUENTIAL,
    SIMPLE_SEQUENTIAL,
    MULTI_ROUTE,
    AGENT_EXECUTOR,
)
