"""The app behind the tests of the provider packages: a route for each way to use a model."""

from collections import defaultdict
from typing import Any

from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.chat_models import init_chat_model
from langchain_core.caches import InMemoryCache
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from quart import Quart

from quart_lanarky import LanarkyExtension
from tests.providers.models import PACKAGES, SEARCHING, Package, by_provider, is_searching, model

for each in PACKAGES:
    model(each, "text")  # or the first requests would wait while the packages are imported

app = Quart(__name__)
lanarky = LanarkyExtension(app)

Chain = Runnable[Any, Any]
PROMPT = ChatPromptTemplate.from_template("{question}")


@tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"It is sunny in {city}."


class Plan(BaseModel):
    """A plan."""

    title: str
    steps: list[str]


def chain(package: Package, scenario: str, version: str = "", streams: bool = True) -> Chain:
    options: dict[str, Any] = {"output_version": version} if version else {}
    chat = model(package, scenario, disable_streaming=not streams, **options)
    if is_searching(scenario):
        return PROMPT | chat.bind(**SEARCHING.get(package, {}))
    return PROMPT | chat


def parsed(package: Package, scenario: str) -> Chain:
    return chain(package, scenario) | StrOutputParser()


def agent(package: Package, scenario: str, version: str = "") -> Chain:
    options: dict[str, Any] = {"output_version": version} if version else {}
    return create_agent(model(package, scenario, **options), tools=[weather])


def with_tools(package: Package, scenario: str) -> Chain:
    return PROMPT | model(package, scenario).bind_tools([weather])


def impatient(package: Package, scenario: str) -> Chain:
    return PROMPT | model(package, scenario, timeout=0.4)


def choices(package: Package, scenario: str) -> Chain:
    return PROMPT | model(package, scenario, n=2)


lanarky.add_chain("/chain", chain)
SHOWN: Any = ("reasoning", "citations", "media")

lanarky.add_chain("/shown/chain", chain, show=SHOWN)
lanarky.add_chain("/shown/parsed", parsed, show=SHOWN)
lanarky.add_chain("/shown/agent", agent, show=SHOWN)
lanarky.add_chain("/parsed", parsed)
lanarky.add_chain("/agent", agent)
lanarky.add_chain("/with-tools", with_tools)
lanarky.add_chain("/impatient", impatient)
lanarky.add_chain("/choices", choices)


# -- structured output ---------------------------------------------------------------------


def structured(package: Package, scenario: str, method: str) -> Chain:
    return PROMPT | model(package, scenario).with_structured_output(Plan, method=method)


def agent_with_a_format(package: Package, scenario: str, strategy: str) -> Chain:
    strategies = {"tool": ToolStrategy, "provider": ProviderStrategy}
    return create_agent(
        model(package, scenario), tools=[weather], response_format=strategies[strategy](Plan)
    )


lanarky.add_chain("/structured", structured)
lanarky.add_chain("/agent-with-a-format", agent_with_a_format)


# -- more than one try ---------------------------------------------------------------------


def fallback(package: Package, scenario: str, other: Package) -> Chain:
    return PROMPT | model(package, scenario).with_fallbacks([model(other, "text")])


def retry(package: Package, scenario: str) -> Chain:
    return PROMPT | model(package, scenario).with_retry(
        stop_after_attempt=2, wait_exponential_jitter=False
    )


lanarky.add_chain("/fallback", fallback)
lanarky.add_chain("/retry", retry)


# -- models by name, from a cache, with a memory --------------------------------------------

caches: defaultdict[str, InMemoryCache] = defaultdict(InMemoryCache)
saver = InMemorySaver()


def by_name(package: Package, scenario: str) -> Chain:
    return PROMPT | init_chat_model(**by_provider(package, scenario))


def cached(package: Package, scenario: str, cache: str) -> Chain:
    return PROMPT | model(package, scenario, cache=caches[cache])


def thread(asking: Any) -> dict[str, Any]:
    return {"configurable": {"thread_id": asking.headers["X-Thread"]}}


def remembering(package: Package, scenario: str) -> Chain:
    return create_agent(model(package, scenario), tools=[weather], checkpointer=saver)


lanarky.add_chain("/by-name", by_name)
lanarky.add_chain("/cached", cached)
lanarky.add_chain("/shown/cached", cached, show=SHOWN)
lanarky.add_chain("/remembering", remembering, config=thread)
