"""The limit: LangChain with one inline handler that does nothing, and no server at all.

The garbage collector is as `serve` has it, so that what ours costs beyond it is ours.

Reads `"<streams> <tokens> <seconds between them>"` lines, runs them at once, and answers each
with the CPU seconds that it took.
"""

import asyncio
import sys
import time
from typing import Any

from langchain_core.callbacks import AsyncCallbackHandler

from benchmarks.apps.model import CHAIN
from quart_lanarky.serving.tuning import tune_gc


class Listener(AsyncCallbackHandler):
    """Hears tokens. With the two `tap` methods LangChain streams for it under `ainvoke`."""

    run_inline = True
    ignore_chain = True

    def __init__(self) -> None:
        self.tokens = 0

    def tap_output_aiter(self, run_id: Any, output: Any) -> Any:
        """Leave the chunks as they are."""
        return output

    def tap_output_iter(self, run_id: Any, output: Any) -> Any:
        """Leave the chunks as they are."""
        return output

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Take no notice."""

    async def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        """Count the token."""
        self.tokens += token != ""  # LangChain ends with an empty one


async def run(tokens: str, pace: str) -> int:
    """Run the chain once; return how many tokens were heard."""
    listener = Listener()
    await CHAIN.ainvoke({"question": f"{tokens} {pace}"}, {"callbacks": [listener]})
    return listener.tokens


async def main() -> None:
    """Answer the lines of the standard input."""
    tune_gc()
    for line in sys.stdin:
        streams, tokens, pace = line.split()
        began_at = time.process_time()
        heard = await asyncio.gather(*(run(tokens, pace) for _ in range(int(streams))))
        seconds = time.process_time() - began_at
        assert set(heard) == {int(tokens)}, heard
        print(seconds, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
