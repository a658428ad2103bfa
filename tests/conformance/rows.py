"""A row of the conformance suite: a kind of chain, and exactly what a client must receive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic_core import to_jsonable_python

from tests.conformance.models import Kit

Build = Callable[[Kit], Runnable[Any, Any]]

Streams = Literal["model", "always", "never", "any"]
"""In how many `completion` events an answer comes: as the model streams it; in several, since
the chain itself streams; in one, since the chain computes it; or however many."""

Retracts = Literal["never", "may", "must"]
"""Whether tokens may be retracted; `must` if a model streams and no cache answers."""

ANSWER = """\
Two things, naïvely:

  • 日本語 — and "quotes", {braces}, \\n
    • indented under it 🦜

That is all; it has more pieces than anything holds back."""
"""Several lines, spaces that count, characters of all widths; more than 32 tokens."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A kind of chain.

    Args:
        id: Its name, also in the URL.
        group: The group of kinds that it belongs to.
        build: Makes the chain, for one request.
        inputs: What the chain is called with.
        answer: What the tokens must make.
        documents: The texts of its source documents; None where no such event may come.
        metadata: The metadata of the documents as JSON, where that is the point.
        options: The options of `add_chain`.
        key: Where LangChain has the answer in a dict, as far as `options` does not say it.
        structured: The answer is a JSON value, and the JSON response has the value itself.
        streams: In how many events the answer comes.
        whole_with_a_cache: With a cache it may come in one event all the same: LangChain asks
            the cache only where it does not stream an LLM or a generator.
        retracts: Whether tokens may be retracted.
        caches: Whether a warm cache answers for every model; `astream`, say, never asks it.
        keeps_documents: The chain retrieves, and was told to keep its documents to itself.
        then: The inputs and the answer of a second turn, which needs the memory of the first. Of a
            graph that waits, `{"resume": ...}` and the answer after that.
        interrupts: The values of what the graph waits for, in any order; None if it answers.
        sync_only: LangChain can only `invoke` this chain.
        needs: The module without which it is skipped: an older LangChain lacks some, and not
            everybody who runs the tests has the packages of agents.
    """

    id: str
    group: str
    build: Build
    inputs: Any
    answer: str
    documents: tuple[str, ...] | None = None
    metadata: tuple[Mapping[str, Any], ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    structured: bool = False
    streams: Streams = "model"
    whole_with_a_cache: bool = False
    retracts: Retracts = "never"
    caches: bool = True
    keeps_documents: bool = False
    then: tuple[Any, str] | None = None
    interrupts: tuple[Any, ...] | None = None
    sync_only: bool = False
    needs: str | None = None

    @property
    def is_missing(self) -> bool:
        """Tell whether what it needs is not installed."""
        return self.needs is not None and not _is_installed(self.needs)

    @property
    def output(self) -> Any:
        """The `output` of the JSON response."""
        if self.interrupts is not None and not self.answer:
            return None
        return json.loads(self.answer) if self.structured else self.answer


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not
        return False


def as_body(inputs: Any) -> dict[str, Any]:
    """Return what a client sends for `inputs`: an object is the body, all else is wrapped."""
    body: dict[str, Any] = to_jsonable_python(
        inputs if isinstance(inputs, dict) else {"input": inputs}
    )
    return body


def as_text(said: Any) -> str:
    """Return as text what a chain returned: a message's text, a text, or all else as JSON."""
    if isinstance(said, BaseMessage):
        return str(said.text)
    return said if isinstance(said, str) else json.dumps(to_jsonable_python(said))


class Group:
    """Collects rows; the name of the function that builds a chain is the row's id."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[Row] = []

    def row(self, **facts: Any) -> Callable[[Build], Build]:
        """Add the decorated function as a row."""

        def add(build: Build) -> Build:
            name = build.__name__.replace("_", "-")  # type: ignore[attr-defined]
            self.rows.append(Row(id=name, group=self.name, build=build, **facts))
            return build

        return add
