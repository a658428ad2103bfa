"""An agent that asks before it acts: hypercorn examples.13_agent_that_asks:app

It looks an address up, which takes a few seconds and shows its progress, and then wants to send a
mail. LangChain's `HumanInTheLoopMiddleware` has it ask first: the run ends with an `interrupt`
event. Open `/playground`, or paste:

    curl -N 'http://127.0.0.1:8000/agent?thread_id=tea' -H 'Content-Type: application/json' \
        -d '{"messages": "Tell Ada that the talk is on Friday."}'

    curl -N 'http://127.0.0.1:8000/agent?thread_id=tea' -H 'Content-Type: application/json' \
        -d '{"resume": {"decisions": [{"type": "approve"}]}}'

Other decisions are `{"type": "reject", "message": "Not yet."}` and an `edit` of the call. Whoever
knows the id of a thread can read it and answer in it: in your app, set `owner=`.
"""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from quart import Quart

from examples.local_model import chat_model
from examples.mail import find_address, send_mail
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
lanarky = LanarkyExtension(app, playground="/playground")

ask_first = HumanInTheLoopMiddleware(
    interrupt_on={"send_mail": {"allowed_decisions": ["approve", "edit", "reject"]}}
)


def agent() -> Runnable[Any, Any]:
    """Write to people, after you have seen the mail."""
    return create_agent(
        chat_model(),
        [find_address, send_mail],
        system_prompt="You send mails for the user. Find the address first.",
        middleware=[ask_first],
        checkpointer=memory,
    )


# It forgets when the process ends. In production, take a checkpointer with a database.
memory = InMemorySaver()

lanarky.add_chain("/agent", agent, show=("tools", "reasoning", "steps"))
