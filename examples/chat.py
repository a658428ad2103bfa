"""Three chains behind one Quart app: `hypercorn examples.chat:app`, or `make demo`.

The app needs no key and no network. To talk to a real model instead of the small local one,
install the provider's package and name the model as LangChain's ``init_chat_model`` does:
``LANARKY_MODEL=openai:gpt-4.1-mini``.
"""

from functools import cache
from typing import Annotated, Any

from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_classic.chains import RetrievalQA
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Field
from quart import Quart, Response, request
from quart_schema import Info, QuartSchema

from examples.local_model import chat_model
from examples.retrieval import LIBRARY, MarkdownRetriever
from examples.tools import calculator
from quart_lanarky import LanarkyExtension, stream_chain

app = Quart(__name__)
QuartSchema(
    app,
    info=Info(
        title="Three chains",
        version="1.0.0",
        description="A chat, answers with their sources, and an agent with a calculator.",
    ),
    redoc_ui_path=None,
    scalar_ui_path=None,
)
lanarky = LanarkyExtension(app, playground="/playground")

NOTES = (LIBRARY / "server-sent-events.md").read_text(encoding="utf-8")

CHAT_PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "You are a friendly assistant. These notes may help you:\n\n{notes}"),
        ("human", "{question}"),
    ]
).partial(notes=NOTES)

AGENT_PROMPT = PromptTemplate.from_template(
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


class ChatInput(BaseModel):
    """What the chat takes; the playground offers the example."""

    question: str = Field(examples=["How does a browser resume a stream?"])


class QaInput(BaseModel):
    """What is asked of the library."""

    query: str = Field(examples=["Why does nginx hold back my events?"])


class AgentInput(BaseModel):
    """What the agent is to find out."""

    input: str = Field(examples=["What is 17 * 23?"])


@cache
def retriever() -> MarkdownRetriever:
    """Return the search over the Markdown files; they are read once."""
    return MarkdownRetriever.from_folder()


@app.post("/chat")
@app.websocket("/chat/ws")
@stream_chain
def chat() -> Runnable[Any, Any]:
    """Chat: a prompt and a model."""
    chain: Runnable[Any, Any] = CHAT_PROMPT | chat_model()
    return chain.with_types(input_type=ChatInput)


Sections = Annotated[int, Field(ge=1, le=10, description="How many sections to read.")]


def answer_from_library(k: Sections = 3) -> Runnable[Any, Any]:
    """Answer from the sections of the library that fit the question best."""
    search = retriever().model_copy(update={"k": k})
    chain: Runnable[Any, Any] = RetrievalQA.from_chain_type(
        chat_model(), retriever=search, return_source_documents=True
    )
    return chain.with_types(input_type=QaInput)


def calculate() -> Runnable[Any, Any]:
    """Answer by reasoning aloud and using a calculator; only the final answer is streamed."""
    tools = [calculator]
    agent = create_react_agent(chat_model(), tools, AGENT_PROMPT)
    chain: Runnable[Any, Any] = AgentExecutor(agent=agent, tools=tools)
    return chain.with_types(input_type=AgentInput)


lanarky.add_chain("/qa", answer_from_library)
lanarky.add_chain("/agent", calculate)


@app.get("/")
async def index() -> Response:
    """Say what can be asked here."""
    lines = [
        f"Open {request.host_url}playground, read {request.host_url}docs, or paste:",
        _curl("chat", '{"question": "How does a browser resume a stream?"}'),
        _curl("qa", '{"query": "Why does nginx hold back my events?"}'),
        _curl("agent", '{"input": "What is 17 * 23?"}'),
    ]
    return Response("\n".join(lines) + "\n", content_type="text/plain")


def _curl(route: str, inputs: str) -> str:
    url = f"{request.host_url}{route}"
    return f"curl -N {url} -H 'Content-Type: application/json' -d '{inputs}'"
