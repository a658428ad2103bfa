"""The chat models of the provider packages, in front of the replay server."""

import os
from functools import cache
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel

from tests.providers.scenarios import SCENARIOS
from tests.providers.script import Cited, Reply, Search, of_type

Package = Literal["openai", "openai-responses", "anthropic", "google", "ollama"]
PACKAGES: tuple[Package, ...] = ("openai", "openai-responses", "anthropic", "google", "ollama")

KEY = "sk-secret"

THINKING: dict[Package, dict[str, Any]] = {
    "openai": {},
    "openai-responses": {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    },
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "google": {"include_thoughts": True},
    "ollama": {"reasoning": True},
}
SEARCHING: dict[Package, dict[str, Any]] = {
    "openai": {"web_search_options": {}},
    "openai-responses": {"tools": [{"type": "web_search"}]},
    "anthropic": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "google": {"tools": [{"google_search": {}}]},
}
"""The options with which a model thinks, and those with which its provider searches."""


@cache
def model(package: Package, scenario: str, **options: Any) -> BaseChatModel:
    """Return the model of a package that plays a scenario; it tries each call once."""
    url = f"{os.environ['REPLAY_URL']}/{scenario}/{package}"
    thinks = any(reply.thinks for reply in _replies(scenario))
    options = {**(THINKING[package] if thinks else {}), **options}
    match package:
        case "openai" | "openai-responses":
            return _openai(f"{url}/v1", use_responses_api=package != "openai", **options)
        case "anthropic":
            return _anthropic(url, **options)
        case "google":
            return _google(url, **options)
        case "ollama":
            return _ollama(url, **options)


def by_provider(package: Package, scenario: str) -> dict[str, Any]:
    """Return the arguments with which `init_chat_model` makes the same model."""
    url = f"{os.environ['REPLAY_URL']}/{scenario}/{package}"
    common = {"base_url": url, "api_key": KEY, "max_retries": 1}
    match package:
        case "openai" | "openai-responses":
            base = {**common, "base_url": f"{url}/v1", "stream_usage": True}
            return {"model": "openai:gpt-4o-mini", "use_responses_api": package != "openai", **base}
        case "anthropic":
            return {"model": "anthropic:claude-sonnet-4-5", **common}
        case "google":
            return {"model": "google_genai:gemini-2.5-flash", **common}
        case "ollama":
            return {"model": "ollama:qwen3", "base_url": url}


def is_searching(scenario: str) -> bool:
    """Tell whether the provider searches in a scenario."""
    searches = (Search, Cited)
    return any(isinstance(part, searches) for reply in _replies(scenario) for part in reply.parts)


def _replies(scenario: str) -> list[Reply]:
    return list(of_type(Reply, SCENARIOS[scenario.partition("@")[0]]))


def _openai(url: str, **options: Any) -> BaseChatModel:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model="gpt-4o-mini",
        base_url=url,
        api_key=KEY,
        max_retries=0,
        stream_usage=True,
        **options,
    )


def _anthropic(url: str, **options: Any) -> BaseChatModel:
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(
        model="claude-sonnet-4-5",
        base_url=url,
        api_key=KEY,
        max_retries=0,
        max_tokens=4096,
        **options,
    )


def _google(url: str, **options: Any) -> BaseChatModel:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(
        model="gemini-2.5-flash",
        base_url=url,
        api_key=KEY,
        max_retries=1,  # it counts the first try
        **options,
    )


def _ollama(url: str, timeout: float | None = None, **options: Any) -> BaseChatModel:
    from langchain_ollama import ChatOllama

    if timeout is not None:
        options["client_kwargs"] = {"timeout": timeout}
    return ChatOllama(model="qwen3", base_url=url, **options)
