"""Tools of an agent that writes mails: one that reads, and one that acts."""

import asyncio
import os

from langchain.tools import ToolRuntime
from langchain_core.tools import tool

OUTBOX: list[tuple[str, str]] = []
"""What was sent: whom to, and the text. Nothing leaves this process."""

_FOLDERS = {
    "customers": {"Lin": "lin@example.com"},
    "suppliers": {"Alan": "alan@example.com"},
    "colleagues": {"Grace": "grace@example.com", "Ada": "ada@example.com"},
}


@tool
async def find_address(name: str, runtime: ToolRuntime) -> str:
    """Find the mail address of a person in the address books."""
    for done, (folder, people) in enumerate(_FOLDERS.items(), 1):
        progress = {"reading": folder, "done": done, "total": len(_FOLDERS)}
        if hasattr(runtime, "emit_output_delta"):  # LangGraph 1.0 has none
            runtime.emit_output_delta(progress)
        await asyncio.sleep(reading_seconds())
        if name in people:
            return people[name]
    known = sorted(name for people in _FOLDERS.values() for name in people)
    return f"There is no {name} in the address books, but {', '.join(known)}."


@tool
def send_mail(to: str, text: str) -> str:
    """Send a mail."""
    OUTBOX.append((to, text))
    return f"Sent to {to}: {text}"


def reading_seconds() -> float:
    """Return how long it takes to read an address book: as long as the model for 40 words."""
    return 40 * float(os.environ.get("LANARKY_DELAY", "0.03"))
