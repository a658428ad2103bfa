"""A ReAct agent, whose thoughts stay inside: hypercorn examples.05_react_agent:app

The agent writes what it thinks and does as text, and announces its answer with "Final Answer:".
Only what comes after that is streamed. Open `/playground`, or paste:

    curl -N http://127.0.0.1:8000/agent -H 'Content-Type: application/json' \
        -d '{"input": "What is 17 * 23?"}'

Models that can call tools by themselves are better served by `06_create_agent.py`.
"""

from typing import Any

from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import Runnable
from quart import Quart

from examples.local_model import chat_model
from examples.tools import calculator
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
lanarky = LanarkyExtension(app, playground="/playground")

PROMPT = PromptTemplate.from_template(
    """Answer the question. You have these tools:

{tools}

Write in this format:

Question: the question that you must answer
Thought: what you think should be done next
Action: the tool to use, one of [{tool_names}]
Action Input: what the tool gets
Observation: what the tool gave back
... (Thought, Action, Action Input and Observation can repeat)
Thought: I now know the final answer
Final Answer: the answer to the question

Question: {input}
Thought:{agent_scratchpad}"""
)

TOOLS = [calculator]


def agent() -> Runnable[Any, Any]:
    """Answer by reasoning aloud and using a calculator; only the final answer is streamed."""
    return AgentExecutor(
        agent=create_react_agent(chat_model(), TOOLS, PROMPT),
        tools=TOOLS,
        max_iterations=8,  # a model that never comes to an answer costs money for ever
        handle_parsing_errors=True,  # it is told what was wrong, and tries again
    )


lanarky.add_chain("/agent", agent)
