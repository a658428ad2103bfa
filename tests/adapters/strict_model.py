"""A fake chat model that refuses the conversations which providers refuse."""

from collections.abc import Callable, Sequence

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage

from quart_lanarky.adapters.langchain.testing import FunctionChatModel

Reply = Callable[[list[BaseMessage]], str | AIMessage]


class RefusedConversationError(Exception):
    """OpenAI or Anthropic would answer with status 400."""


def check_conversation(messages: Sequence[BaseMessage]) -> None:
    """Raise RefusedConversationError unless OpenAI and Anthropic take these messages.

    Each tool call has one result, right after its message and before anything else; no result is
    without a call; after the system's messages a person speaks first, and no message is empty.
    """
    open_calls: set[str] = set()
    spoken = [each for each in messages if not isinstance(each, SystemMessage)]
    if not spoken or spoken[0].type != "human":
        raise RefusedConversationError("the first message has to be a person's")
    for message in spoken:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in open_calls:
                raise RefusedConversationError(f"no call of {message.tool_call_id} before this")
            open_calls.remove(message.tool_call_id)
            continue
        if open_calls:
            raise RefusedConversationError(f"no result of {sorted(open_calls)}")
        calls = [call["id"] for call in getattr(message, "tool_calls", ())]
        calls += [call["id"] for call in getattr(message, "invalid_tool_calls", ())]
        if len(set(calls)) != len(calls):
            raise RefusedConversationError("two calls have one id")
        if not calls and not message.text:
            raise RefusedConversationError("a message is empty")
        open_calls.update(map(str, calls))
    if open_calls:
        raise RefusedConversationError(f"no result of {sorted(open_calls)}")


def strict_model(reply: Reply, sleep: float = 0.0) -> FunctionChatModel:
    """Return a model that replies by a function to a conversation that providers take."""

    def checked(messages: list[BaseMessage]) -> str | AIMessage:
        check_conversation(messages)
        return reply(messages)

    return FunctionChatModel(function=checked, sleep=sleep)
