"""The example app with a model that does not pause between its words, and else the same."""

from examples import chat
from examples.local_model import LocalChatModel

chat.chat_model = lambda: LocalChatModel(delay=0)  # type: ignore[assignment]  # it needs no cache
app = chat.app
