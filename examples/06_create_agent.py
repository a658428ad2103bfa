"""An agent that calls tools: hypercorn examples.06_create_agent:app

LangChain's `create_agent` with two tools, one of several arguments. Open `/playground`, or paste:

    curl -N http://127.0.0.1:8000/agent -H 'Content-Type: application/json' \
        -d '{"messages": "What is 17 * 23, and 26.2 miles in km?"}'

A model may say something and then call a tool, so nobody knows at first whether its words are the
answer. At `/agent` the first 32 tokens wait until it is known. At `/agent/eager` they leave at
once, and a `retract` event takes them back: a client drops as many tokens as it says.

    curl -N http://127.0.0.1:8000/agent/eager -H 'Content-Type: application/json' \
        -d '{"messages": "How many feet are 3 metres?"}'
"""

from typing import Any

from langchain.agents import create_agent
from langchain_core.runnables import Runnable
from quart import Quart

from examples.local_model import chat_model
from examples.tools import calculator, convert_units
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
lanarky = LanarkyExtension(app, playground="/playground")


def agent() -> Runnable[Any, Any]:
    """Answer with a calculator and a converter of units at hand."""
    return create_agent(
        chat_model(),
        [calculator, convert_units],
        system_prompt="You work things out with tools, and never guess.",
    )


lanarky.add_chain("/agent", agent)
lanarky.add_chain("/agent/eager", agent, hold_tokens=0)
