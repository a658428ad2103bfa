"""A sink that keeps what handlers send, and the ids of runs."""

from uuid import uuid4

from quart_lanarky.events import Event

RUN, OTHER, ROOT = uuid4(), uuid4(), uuid4()


class Recorder:
    """A sink that keeps what it gets, and reads it as a client does."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def send(self, event: Event, /) -> None:
        self.events.append(event)

    def text(self) -> str:
        """Return the tokens that stand: those that were not taken back."""
        tokens: list[str] = []
        for event in self.events:
            if event.name == "retract":
                del tokens[len(tokens) - event.data["tokens"] :]
            else:
                tokens.append(event.data)
        return "".join(tokens)

    def retracted(self) -> int:
        return sum(event.data["tokens"] for event in self.events if event.name == "retract")
