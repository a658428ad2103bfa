"""Agents of `create_agent` with each middleware of LangChain, and with hooks of one's own."""

from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentState,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    FilesystemFileSearchMiddleware,
    LLMToolEmulator,
    LLMToolSelectorMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    ShellToolMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
    after_agent,
    after_model,
    before_agent,
    before_model,
    dynamic_prompt,
    hook_config,
    wrap_model_call,
    wrap_tool_call,
)
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import tool

from tests.conformance.models import SECRET, Kit, Reply, after_tools, always, calls, when
from tests.conformance.rows import ANSWER, Group
from tests.conformance.rows_agents import INPUTS, agent, look, looks_after, words

group = Group("middleware")

MIDDLEWARE = "langchain.agents.middleware"
AT_ONCE = {"initial_delay": 0.0, "jitter": False}
LIMIT = "Model call limits exceeded: run limit (1/1)"


def fails_once(then: str = ANSWER) -> Any:
    """Return a script whose first reply breaks after a token."""
    left = [Reply(f"{SECRET} and more", fails=True)]
    return lambda _: left.pop() if left else then


# -- limits, retries, fallbacks ------------------------------------------------------------


@group.row(inputs=INPUTS, answer=LIMIT, streams="never", retracts="may")
def agent_whose_model_calls_are_limited(kit: Kit) -> Runnable[Any, Any]:
    limit = ModelCallLimitMiddleware(run_limit=1)
    return agent(kit.chat(always(calls("look", SECRET, city="Zürich"))), look, middleware=[limit])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_calls_are_limited(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> Reply | str:
        blocked = messages[-1].type == "tool" and "limit" in messages[-1].text
        return ANSWER if blocked else calls("look", SECRET, city=str(len(messages)))

    return agent(kit.chat(script), look, middleware=[ToolCallLimitMiddleware(run_limit=1)])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_is_limited_by_name(kit: Kit) -> Runnable[Any, Any]:
    limit = ToolCallLimitMiddleware(tool_name="look", run_limit=5)
    return agent(kit.chat(looks_after(*words(5))), look, middleware=[limit])


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def agent_with_a_fallback(kit: Kit) -> Runnable[Any, Any]:
    broken = kit.chat(always(Reply(f"{SECRET} and more", fails=True)), "broken")
    return agent(broken, look, middleware=[ModelFallbackMiddleware(kit.chat(looks_after()))])


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def agent_whose_model_is_tried_again(kit: Kit) -> Runnable[Any, Any]:
    return agent(kit.chat(fails_once()), middleware=[ModelRetryMiddleware(**AT_ONCE)])


@group.row(inputs=INPUTS, answer="The model is away.", streams="never", retracts="may")
def agent_whose_model_fails_for_good(kit: Kit) -> Runnable[Any, Any]:
    retry = ModelRetryMiddleware(
        max_retries=1, on_failure=lambda error: "The model is away.", **AT_ONCE
    )
    broken = kit.chat(always(Reply(f"{SECRET} and more", fails=True)))
    return agent(broken, middleware=[retry])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_is_tried_again(kit: Kit) -> Runnable[Any, Any]:
    left = [1]

    @tool
    def look(city: str) -> str:
        """Look out of the window."""
        if left:
            raise ConnectionError(f"{SECRET}: {left.pop()}")
        return f"{SECRET}: rain"

    return agent(kit.chat(looks_after()), look, middleware=[ToolRetryMiddleware(**AT_ONCE)])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_fails_for_good(kit: Kit) -> Runnable[Any, Any]:
    @tool
    async def look(city: str) -> str:
        """Look out of the window."""
        raise ConnectionError(SECRET)

    retry = ToolRetryMiddleware(max_retries=1, **AT_ONCE)
    return agent(kit.chat(looks_after(*words(5))), look, middleware=[retry])


@group.row(inputs=INPUTS, answer=ANSWER, needs=f"{MIDDLEWARE}.tool_error")
def agent_that_hears_of_the_error_of_a_tool(kit: Kit) -> Runnable[Any, Any]:
    from langchain.agents.middleware import ToolErrorMiddleware

    @tool
    def look(city: str) -> str:
        """Look out of the window."""
        raise ValueError(SECRET)

    hears = ToolErrorMiddleware(lambda error, request: f"{SECRET}: {error}")
    return agent(kit.chat(looks_after()), look, middleware=[hears])


# -- tools that middleware brings, chooses, or stands in for -------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_plan(kit: Kit) -> Runnable[Any, Any]:
    todos = [{"content": f"{SECRET}: look", "status": "in_progress"}]
    script = after_tools(calls("write_todos", f"{SECRET}: first", todos=todos), ANSWER)
    return agent(kit.chat(script), middleware=[TodoListMiddleware()])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tools_a_model_selects(kit: Kit) -> Runnable[Any, Any]:
    selects = kit.chat(always(calls("ToolSelectionResponse", tools=["look"])), "selects")
    selector = LLMToolSelectorMiddleware(model=selects, max_tools=1)
    return agent(kit.chat(looks_after()), look, middleware=[selector])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_tool_a_model_emulates(kit: Kit) -> Runnable[Any, Any]:
    emulator = LLMToolEmulator(tools=["look"], model=kit.chat(f"{SECRET}: rain", "emulator"))
    return agent(kit.chat(looks_after()), look, middleware=[emulator])


@group.row(inputs=INPUTS, answer=ANSWER, streams="model")
def agent_with_a_shell(kit: Kit) -> Runnable[Any, Any]:
    script = after_tools(calls("shell", command=f"echo {SECRET}"), ANSWER)
    return agent(kit.chat(script), middleware=[ShellToolMiddleware()])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_that_searches_files(kit: Kit) -> Runnable[Any, Any]:
    search = FilesystemFileSearchMiddleware(root_path=str(Path(__file__).parent), use_ripgrep=False)
    script = after_tools(calls("glob_search", SECRET, pattern="rows_m*.py"), ANSWER)
    return agent(kit.chat(script), middleware=[search])


@group.row(inputs=INPUTS, answer=ANSWER, needs=f"{MIDDLEWARE}.provider_tool_search")
def agent_with_a_search_for_tools_that_finds_none_deferred(kit: Kit) -> Runnable[Any, Any]:
    from langchain.agents.middleware import ProviderToolSearchMiddleware

    return agent(kit.chat(looks_after()), look, middleware=[ProviderToolSearchMiddleware()])


@group.row(inputs=INPUTS, answer=ANSWER, needs="langchain_core.decisions")
def agent_whose_tool_a_decision_model_blocks(kit: Kit) -> Runnable[Any, Any]:
    from langchain.agents.middleware import AutoModeMiddleware

    from tests.conformance.decisions import Decides

    guard = AutoModeMiddleware(tools=[look], classifier=Decides())
    return agent(kit.chat(looks_after(SECRET)), look, middleware=[guard])


@group.row(inputs=INPUTS, answer=ANSWER, needs="langchain_core.decisions")
def agent_whose_model_a_decision_model_chooses(kit: Kit) -> Runnable[Any, Any]:
    from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware

    from tests.conformance.decisions import Decides

    good = ModelChoice(kit.chat(looks_after(), "good"), "questions about the weather")
    poor = ModelChoice(kit.chat(SECRET, "poor"), "all else")
    router = ModelRouterMiddleware(
        choices={"good": good, "poor": poor},
        instructions="Which model?",
        classifier=Decides(),
    )
    return agent(kit.chat(SECRET, "default"), look, middleware=[router])


@group.row(inputs=INPUTS, answer=ANSWER, needs=f"{MIDDLEWARE}.model_refusal")
def agent_that_looks_for_refusals(kit: Kit) -> Runnable[Any, Any]:
    from langchain.agents.middleware import ModelRefusalMiddleware

    return agent(kit.chat(looks_after()), look, middleware=[ModelRefusalMiddleware()])


# -- what the model reads ------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_that_clears_old_tool_results(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> Reply | str:
        results = [message.text for message in messages if message.type == "tool"]
        if len(results) < 3:
            return calls("look", SECRET, city=f"city {len(results)}")
        return ANSWER if "[cleared]" in results else "Nothing was cleared."

    edits = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=10, keep=1)])
    return agent(kit.chat(script), look, middleware=[edits])


@group.row(
    inputs={"messages": [{"role": "user", "content": f"I am {SECRET}@example.com."}]},
    answer="You are [REDACTED_EMAIL].",
)
def agent_that_reads_no_addresses(kit: Kit) -> Runnable[Any, Any]:
    script = when(("[REDACTED_EMAIL]", "You are [REDACTED_EMAIL]."), otherwise=SECRET)
    return agent(kit.chat(script), middleware=[PIIMiddleware("email")])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_that_reads_no_addresses_in_tool_results(kit: Kit) -> Runnable[Any, Any]:
    @tool
    def look(city: str) -> str:
        """Look into the book."""
        return "ada@example.com"

    def script(messages: list[Any]) -> Reply | str:
        if messages[-1].type != "tool":
            return calls("look", SECRET, city="Zürich")
        return ANSWER if "ada" not in messages[-1].text else "I read an address."

    redacts = PIIMiddleware("email", apply_to_input=False, apply_to_tool_results=True)
    return agent(kit.chat(script), look, middleware=[redacts])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_a_prompt_that_middleware_writes(kit: Kit) -> Runnable[Any, Any]:
    @dynamic_prompt
    def prompt(request: Any) -> str:
        return f"{SECRET}: there are {len(request.messages)} messages."

    return agent(kit.chat(looks_after()), look, middleware=[prompt])


# -- hooks of one's own --------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_hooks_before(kit: Kit) -> Runnable[Any, Any]:
    @before_agent
    async def greet(state: AgentState[Any], runtime: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"{SECRET}: hello")]}

    @before_model
    def note(state: AgentState[Any], runtime: Any) -> dict[str, Any] | None:
        return None

    return agent(kit.chat(looks_after(*words(5))), look, middleware=[greet, note])


@group.row(inputs=INPUTS, answer=ANSWER, streams="any")
def agent_with_hooks_after(kit: Kit) -> Runnable[Any, Any]:
    @after_model
    async def note(state: AgentState[Any], runtime: Any) -> None:
        return None

    @after_agent
    def say_goodbye(state: AgentState[Any], runtime: Any) -> None:
        return None

    return agent(kit.chat(looks_after()), look, middleware=[note, say_goodbye])


@group.row(inputs=INPUTS, answer=ANSWER, streams="never", retracts="may")
def agent_whose_hook_adds_the_last_word(kit: Kit) -> Runnable[Any, Any]:
    @after_agent
    def add(state: AgentState[Any], runtime: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(ANSWER)]}

    return agent(kit.chat(f"{SECRET}: a draft"), middleware=[add])


@group.row(inputs=INPUTS, answer=ANSWER, streams="never")
def agent_whose_hook_answers_before_the_model(kit: Kit) -> Runnable[Any, Any]:
    @before_model
    @hook_config(can_jump_to=["end"])
    def answer(state: AgentState[Any], runtime: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(ANSWER)], "jump_to": "end"}

    return agent(kit.chat(SECRET), look, middleware=[answer])


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may", streams="any")
def agent_whose_hook_sends_it_back_to_the_model(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> str:
        return ANSWER if messages[-1].type == "ai" else f"{SECRET}: too short"

    @after_model(can_jump_to=["model"])
    def again(state: AgentState[Any], runtime: Any) -> dict[str, Any] | None:
        return {"jump_to": "model"} if SECRET in state["messages"][-1].text else None

    return agent(kit.chat(script), middleware=[again])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_middleware_takes_another_model(kit: Kit) -> Runnable[Any, Any]:
    other = kit.chat(looks_after(), "other")

    @wrap_model_call
    async def take(request: Any, handler: Any) -> Any:
        return await handler(request.override(model=other))

    return agent(kit.chat(SECRET, "first"), look, middleware=[take])


@group.row(inputs=INPUTS, answer=ANSWER, streams="never", retracts="may")
def agent_whose_middleware_changes_the_message(kit: Kit) -> Runnable[Any, Any]:
    @wrap_model_call
    async def change(request: Any, handler: Any) -> Any:
        await handler(request)
        return AIMessage(ANSWER)

    return agent(kit.chat(f"{SECRET}: a draft"), middleware=[change])


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may", streams="any")
def agent_whose_middleware_asks_the_model_twice(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> str:
        return ANSWER if messages[-1].text == "Again." else f"{SECRET}: a draft"

    @wrap_model_call
    async def twice(request: Any, handler: Any) -> Any:
        await handler(request)
        again = [*request.messages, {"role": "user", "content": "Again."}]
        return await handler(request.override(messages=again))

    return agent(kit.chat(script), middleware=[twice])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_middleware_answers_for_a_tool(kit: Kit) -> Runnable[Any, Any]:
    @wrap_tool_call
    async def answer(request: Any, handler: Any) -> Any:
        return ToolMessage(f"{SECRET}: rain", tool_call_id=request.tool_call["id"])

    return agent(kit.chat(looks_after(SECRET)), look, middleware=[answer])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_whose_middleware_tries_a_tool_twice(kit: Kit) -> Runnable[Any, Any]:
    @wrap_tool_call
    async def twice(request: Any, handler: Any) -> Any:
        await handler(request)
        return await handler(request)

    return agent(kit.chat(looks_after(SECRET)), look, middleware=[twice])


@group.row(inputs=INPUTS, answer=ANSWER)
def agent_with_much_middleware(kit: Kit) -> Runnable[Any, Any]:
    many = [
        TodoListMiddleware(),
        PIIMiddleware("email"),
        ModelCallLimitMiddleware(run_limit=9),
        ToolCallLimitMiddleware(run_limit=9),
        ModelRetryMiddleware(**AT_ONCE),
        ToolRetryMiddleware(**AT_ONCE),
        ContextEditingMiddleware(),
    ]
    return create_agent(kit.chat(looks_after(*words(5))), [look], middleware=many)
