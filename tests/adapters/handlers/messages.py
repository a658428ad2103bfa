"""A model that says given messages, and chains that are run as a route runs them."""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from quart_lanarky.adapters.langchain.service.showing import with_shown
from quart_lanarky.runs.stream import EventStream
from tests.runs.reading import events_of


class Saying(BaseChatModel):
    """Says its messages, one at each call and the last one again and again, each of them whole."""

    messages: list[AIMessage]
    _calls: int = PrivateAttr(0)

    @property
    def _llm_type(self) -> str:
        return "saying"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        message = self.messages[min(self._calls, len(self.messages) - 1)]
        self._calls += 1
        return ChatResult(generations=[ChatGeneration(message=message.model_copy())])


async def events_of_chain(
    chain: Any, inputs: Any, show: Sequence[str], **options: Any
) -> list[tuple[str, Any]]:
    """Return the names and data of the events of a chain, without `end`."""
    plan = plan_chain(chain, **options)
    stream = EventStream(flush_interval=0)
    handlers = [new(stream, mode="json") for new in with_shown(plan.handlers, show)]
    run = ChainRun(plan, inputs, handlers, stream)
    return [(event.name, event.data) for event in await events_of(run)][:-1]
