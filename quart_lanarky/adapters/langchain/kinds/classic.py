"""How the chains and agents of `langchain-classic` say their answers.

Most are a chain around a chain: the answer is that of one field, and nothing else that runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from langchain_core.output_parsers import BaseOutputParser, StrOutputParser

from ..handlers.selection import AnswerSpec, StopPattern
from ..handlers.text_filters import DEFAULT_ANSWER_PREFIX_TOKENS
from .base import (
    TAGGED_MODELS,
    TaggedChain,
    Tagger,
    Taggers,
    TagModels,
    agreed,
    is_a,
    nearest,
    with_step,
)

__all__ = ["CLASSIC", "is_agent_executor", "is_retrieval_qa"]

_EXECUTOR = "langchain_classic.agents.agent.AgentExecutor"
_RETRIEVAL_QA = "langchain_classic.chains.retrieval_qa.base.BaseRetrievalQA"

_BESIDE_THE_ANSWER = ("intermediate_steps", "source_documents")

_SOURCES = StopPattern(r"SOURCES?:|QUESTION:\s", len("QUESTION: "))
"""How the chains with sources take the sources off the model's text."""


def is_agent_executor(chain: Any) -> bool:
    """Tell whether `chain` is a classic `AgentExecutor`."""
    return is_a(chain, _EXECUTOR)


def is_retrieval_qa(chain: Any) -> bool:
    """Tell whether `chain` is a classic `RetrievalQA` or of its family."""
    return is_a(chain, _RETRIEVAL_QA)


def _chain(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    """Leave a chain that cannot be seen into as it is, such as a user's own."""
    return _of(chain, key, TaggedChain(chain))


def _key(chain: Any, key: str | None) -> str:
    """Return the output that is the answer: the first that is not there to explain it."""
    keys = [key] if key else [k for k in chain.output_keys if k not in _BESIDE_THE_ANSWER]
    return keys[0] if keys else "output"


def _found(
    chain: Any, key: str | None, update: dict[str, Any], said_by: TaggedChain
) -> TaggedChain:
    """Return `chain` with marked chains in the fields that say its answer."""
    return _of(chain, key, TaggedChain(chain.model_copy(update=update), said_by.spec))


def _of(chain: Any, key: str | None, tagged: TaggedChain) -> TaggedChain:
    """Return `tagged` with what holds for all classic chains: a dict of outputs."""
    spec = replace(tagged.spec, output_path=((_key(chain, key),),), returns_documents=True)
    return replace(tagged, spec=spec)


def _said_by(field: str) -> Tagger:
    """Make the marker for chains whose answer is that of the chain in one field."""

    def tagger(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
        if key is not None and key != _key(chain, None):
            return _chain(chain, key, tag)  # an output that is usually beside the answer
        tagged = tag(getattr(chain, field), None)
        return _found(chain, key, {field: tagged.chain}, tagged)

    return tagger


def _llm_chain(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    if type(chain.output_parser) is not StrOutputParser:
        return _chain(chain, key, tag)
    return _said_by("llm")(chain, key, tag)


def _with_sources(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    found = _said_by("combine_documents_chain")(chain, key, tag)
    return replace(found, spec=replace(found.spec, stop_pattern=_SOURCES))


def _reduce(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    """Mark the last step, and not the same chain where it makes too many documents fewer."""
    tagged = tag(chain.combine_documents_chain, None)
    collapse = chain.collapse_documents_chain or chain.combine_documents_chain
    update = {"combine_documents_chain": tagged.chain, "collapse_documents_chain": collapse}
    return _found(chain, key, update, tagged)


def _sequential(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    """Mark the chain that returns the only output, or the one that is named."""
    if key is None and len(chain.output_variables) > 1:
        return TaggedChain(chain, replace(TAGGED_MODELS, returns_documents=True))
    wanted = _key(chain, key)
    place = next((i for i, c in enumerate(chain.chains) if wanted in c.output_keys), None)
    return _chain(chain, key, tag) if place is None else _nth(chain, place, wanted, tag)


def _simple_sequential(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    found = _nth(chain, len(chain.chains) - 1, None, tag)
    return replace(found, spec=replace(found.spec, strip=chain.strip_outputs))


def _nth(chain: Any, place: int, key: str | None, tag: TagModels) -> TaggedChain:
    tagged = tag(chain.chains[place], key)
    chains = [*chain.chains[:place], tagged.chain, *chain.chains[place + 1 :]]
    return _found(chain, key, {"chains": chains}, tagged)


def _router(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    """Mark all destinations: one of them answers."""
    tagged = {name: tag(each, None) for name, each in chain.destination_chains.items()}
    default = tag(chain.default_chain, None)
    destinations = {name: each.chain for name, each in tagged.items()}
    update = {"destination_chains": destinations, "default_chain": default.chain}
    return _of(chain, key, agreed(chain, update, [default, *tagged.values()]))


# -- agents --------------------------------------------------------------------------------


def _executor(chain: Any, key: str | None, tag: TagModels) -> TaggedChain:
    agent, parser = _agent(chain.agent, tag)
    prefix = None if parser is None else (nearest(parser, _PREFIXES) or _any_prefix)(parser)
    spec = AnswerSpec(
        TAGGED_MODELS.answer_runs,
        ((_key(chain, key),),),
        prefix=prefix,
        strip=prefix is not None,
        has_tools=prefix is None,
        is_agent=True,
        returns_documents=True,
    )
    return TaggedChain(chain.model_copy(update={"agent": agent}), spec)


def _agent(agent: Any, tag: TagModels) -> tuple[Any, Any]:
    """Return the agent with its own model marked, and the parser that understands the model."""
    if hasattr(agent, "llm_chain"):
        chain = tag(agent.llm_chain, None).chain
        return agent.model_copy(update={"llm_chain": chain}), getattr(agent, "output_parser", None)
    runnable = getattr(agent, "runnable", None)
    steps = getattr(runnable, "steps", [])
    if len(steps) < 2 or not isinstance(steps[-1], BaseOutputParser):  # noqa: PLR2004
        return agent, None
    # The parser makes steps of the model's text; the model before it is the agent's voice.
    runnable = with_step(runnable, len(steps) - 2, tag(steps[-2], None).chain)
    return agent.model_copy(update={"runnable": runnable}), steps[-1]


def _any_prefix(parser: Any) -> tuple[str, ...] | None:
    return DEFAULT_ANSWER_PREFIX_TOKENS


def _no_prefix(parser: Any) -> tuple[str, ...] | None:
    return None


_AGENTS = "langchain_classic.agents"

_PREFIXES: dict[str, Callable[[Any], tuple[str, ...] | None]] = {
    f"{_AGENTS}.output_parsers.tools.ToolsAgentOutputParser": _no_prefix,
    f"{_AGENTS}.output_parsers.openai_tools.OpenAIToolsAgentOutputParser": _no_prefix,
    f"{_AGENTS}.output_parsers.openai_functions.OpenAIFunctionsAgentOutputParser": _no_prefix,
    f"{_AGENTS}.conversational.output_parser.ConvoOutputParser": lambda p: (p.ai_prefix, ":"),
    f"{_AGENTS}.output_parsers.self_ask.SelfAskOutputParser": lambda p: (p.finish_string,),
}
"""How an agent announces its answer, by the parser of its model's text; None: in no words."""

_CHAINS = "langchain_classic.chains"
_COMBINE = f"{_CHAINS}.combine_documents"

CLASSIC: Taggers = {
    f"{_CHAINS}.base.Chain": _chain,
    f"{_CHAINS}.llm.LLMChain": _llm_chain,
    _RETRIEVAL_QA: _said_by("combine_documents_chain"),
    f"{_CHAINS}.conversational_retrieval.base.BaseConversationalRetrievalChain": _said_by(
        "combine_docs_chain"
    ),
    f"{_CHAINS}.qa_with_sources.base.BaseQAWithSourcesChain": _with_sources,
    f"{_COMBINE}.base.AnalyzeDocumentChain": _said_by("combine_docs_chain"),
    f"{_COMBINE}.stuff.StuffDocumentsChain": _said_by("llm_chain"),
    f"{_COMBINE}.map_reduce.MapReduceDocumentsChain": _said_by("reduce_documents_chain"),
    f"{_COMBINE}.reduce.ReduceDocumentsChain": _reduce,
    f"{_CHAINS}.sequential.SequentialChain": _sequential,
    f"{_CHAINS}.sequential.SimpleSequentialChain": _simple_sequential,
    f"{_CHAINS}.router.base.MultiRouteChain": _router,
    _EXECUTOR: _executor,
}
