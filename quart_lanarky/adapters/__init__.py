"""Adapters of LLM frameworks. Each makes routes from the chains of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from quart import Blueprint

__all__ = ["Adapter", "default_adapter"]


class Adapter(Protocol):
    """Makes routes from the chains of an LLM framework; a module may be one."""

    def chain_blueprint(self, rule: str, chain: Any, /, **options: Any) -> Blueprint:
        """Return the blueprint that serves `chain` at `rule`."""


def default_adapter() -> Adapter:
    """Import the adapter of LangChain, which is used where an app names no other."""
    from .langchain import routing

    adapter: Any = routing
    return adapter  # type: ignore[no-any-return]  # its options are typed more strictly
