"""The fields of chains and factories, and what is refused."""

import copy
import typing
from dataclasses import dataclass
from operator import add, itemgetter
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, Required

import jsonschema
import pytest
import typing_extensions
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware.types import OmitFromInput, PrivateStateAttr
from langchain_classic.agents import AgentExecutor, ZeroShotAgent, create_tool_calling_agent
from langchain_classic.chains import (
    ConversationalRetrievalChain,
    ConversationChain,
    LLMChain,
    StuffDocumentsChain,
    TransformChain,
    create_history_aware_retriever,
    create_retrieval_chain,
)
from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.agents import AgentFinish
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessageChunk, AnyMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    ConfigurableField,
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.managed import RemainingSteps
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PydanticUserError,
    RootModel,
    model_validator,
)
from werkzeug.datastructures import MultiDict

from quart_lanarky.adapters.langchain.inputs.fields import Fields
from quart_lanarky.adapters.langchain.inputs.messages import Message, Messages, TextOrMessages
from quart_lanarky.adapters.langchain.inputs.open_inputs import AnyObject
from quart_lanarky.adapters.langchain.inputs.policy import InputPolicy
from quart_lanarky.adapters.langchain.kinds.chain_inputs import chain_inputs
from quart_lanarky.errors import InputError
from tests.adapters.chains import LCEL, MODEL, agent, qa

if TYPE_CHECKING:
    pass


MESSAGES = [HumanMessage("hi")]
CHAT = ChatPromptTemplate.from_messages(
    [("system", "{tone}"), MessagesPlaceholder("history"), ("human", "{q}")]
)
OPTIONAL = ChatPromptTemplate.from_messages([("placeholder", "{history}"), ("human", "{q}")])
LANGCHAIN_WARNING = "ignore::langchain_core._api.LangChainDeprecationWarning"


class Question(BaseModel):
    text: str
    top: int = Field(3, ge=1)


class Old(typing.TypedDict):  # the standard library's, which Pydantic refuses before 3.12
    text: str
    top: NotRequired[int]


class New(typing_extensions.TypedDict):
    text: str
    top: NotRequired[int]


@dataclass
class Data:
    text: str
    top: int = 3


class Retrieves(BaseRetriever):
    def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Document]:
        assert isinstance(query, str)
        return [Document(f"about {query}")]


RETRIEVER = Retrieves()


def seen(value: Any) -> str:
    return repr(value)


def refused(chain: Any, message: Any, **options: Any) -> dict[str, str]:
    with pytest.raises(InputError) as refusal:
        chain_inputs(chain, **options).for_chain(message)
    return refusal.value.fields


async def run(chain: Any, message: Any) -> Any:
    """Call the chain with what its fields make of a message."""
    return await chain.ainvoke(chain_inputs(chain).for_chain(message))


def required(chain: Any) -> dict[str, bool]:
    hints = chain_inputs(chain).hints
    return {name: typing.get_origin(hint) is not NotRequired for name, hint in hints.items()}


@pytest.mark.parametrize(
    ("chain", "message", "called_with"),
    [
        (LCEL, {"question": "hi"}, {"question": "hi"}),
        (LCEL, "hi", {"question": "hi"}),
        (qa(), {"query": "hi"}, {"query": "hi"}),
        (qa(), "hi", {"query": "hi"}),
        (agent(), {"input": "hi"}, {"input": "hi"}),
        (agent().with_config(tags=["x"]), "hi", {"input": "hi"}),
        (RunnableLambda(seen), {"input": [1]}, [1]),
        (RunnableLambda(seen), "hi", "hi"),
        (RETRIEVER, "hi", "hi"),
        (RETRIEVER, {"input": "hi"}, "hi"),
        (OPTIONAL, "hi", {"q": "hi"}),
        (RunnablePick("a"), {"a": 1}, {"a": 1}),
        (RunnablePick(["a", "b"]) | seen, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (LCEL.map(), {"input": ["a", {"question": "b"}]}, [{"question": "a"}, {"question": "b"}]),
        (RunnablePassthrough() | LCEL, "hi", {"question": "hi"}),
    ],
)
async def test_what_a_chain_is_called_with(chain: Any, message: Any, called_with: Any) -> None:
    inputs = chain_inputs(chain).for_chain(message)
    assert inputs == called_with
    if not hasattr(chain, "agent") and not hasattr(chain, "bound"):  # its model talks nonsense
        await chain.ainvoke(inputs)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda chain: chain.with_config(tags=["x"]),
        lambda chain: chain.with_retry(),
        lambda chain: chain.with_fallbacks([chain]),
        lambda chain: chain.with_config(tags=["x"]).with_retry().with_fallbacks([chain]),
        lambda chain: chain.bind(stop=["x"]),
        lambda chain: chain.with_types(output_type=str),
        lambda chain: chain | StrOutputParser(),
        lambda chain: RunnableParallel(a=chain, b=chain),
        lambda chain: RunnableBranch((lambda _: True, chain), chain),
        lambda chain: chain.with_listeners(),
        lambda chain: RunnablePassthrough.assign(answer=chain),
    ],
)
def test_a_wrapped_chain_takes_what_the_chain_takes(wrap: Any) -> None:
    assert chain_inputs(wrap(LCEL)).for_chain("hi") == {"question": "hi"}
    assert refused(wrap(LCEL), {}) == {"question": "Field required"}


def test_fields_may_have_any_name() -> None:
    chain = ChatPromptTemplate.from_template("{schema}{copy}{model_name}{json}") | MODEL
    message = {"schema": "a", "copy": "b", "model_name": "c", "json": "d"}
    assert chain_inputs(chain).for_chain(message) == message
    assigned = RunnablePassthrough.assign(x=lambda _: 1) | chain
    assert chain_inputs(assigned).for_chain(message) == message


def test_an_optional_input_may_be_missing() -> None:
    assert chain_inputs(OPTIONAL | MODEL).for_chain({"q": "hi"}) == {"q": "hi"}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ({}, {"question": "Field required"}),
        (
            {"question": "q", "x": 1, "y": 2},
            {"x": "Extra inputs are not permitted", "y": "Extra inputs are not permitted"},
        ),
    ],
)
def test_each_wrong_field_is_named(message: Any, fields: dict[str, str]) -> None:
    assert refused(LCEL, message) == fields


def test_a_bare_text_for_several_inputs_is_refused_with_their_names() -> None:
    with pytest.raises(InputError, match="inputs of this chain: a, b"):
        Fields({"a": str, "b": str}).for_chain("hi")
    with pytest.raises(InputError, match="inputs of this chain: a, b"):
        Fields({"a": NotRequired[str], "b": NotRequired[str]}).for_chain("hi")


def test_a_bare_text_is_the_only_required_input() -> None:
    assert Fields({"a": NotRequired[str], "b": str}).for_chain("hi") == {"b": "hi"}
    assert Fields({"a": NotRequired[str]}).for_chain("hi") == {"a": "hi"}


# -- messages ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, FakeListLLM(responses=["x"]), MODEL.bind(stop=["x"])])
async def test_a_model_takes_a_text_or_messages(model: Any) -> None:
    fields = chain_inputs(model)
    assert fields.for_chain("hi") == fields.for_chain({"input": "hi"}) == "hi"
    assert fields.for_chain({"input": {"role": "user", "content": "hi"}}) == MESSAGES
    assert fields.for_chain({"input": [["user", "hi"]]}) == MESSAGES
    assert fields.for_chain(fields.pick(MultiDict({"input": "hi"}))) == "hi"
    assert len(str(fields.adapter.json_schema())) < 2500
    await run(model, {"input": ["a", {"role": "assistant", "content": "b"}]})


def test_a_wrong_message_is_named_by_field_and_index() -> None:
    wrong = refused(CHAT, {"tone": "dry", "q": "hi", "history": ["fine", {"role": "pirate"}]})
    assert list(wrong) == ["history.1"]
    assert "there is no role 'pirate'; use one of user," in wrong["history.1"]


async def test_a_placeholder_takes_messages() -> None:
    history = ["a", ["ai", "b"], {"type": "human", "content": [{"type": "text", "text": "c"}]}]
    prompt = await run(CHAT, {"tone": "dry", "q": "hi", "history": history})
    assert [m.type for m in prompt.to_messages()] == ["system", "human", "ai", "human", "human"]


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
async def test_a_chain_with_message_history_takes_all_but_the_history() -> None:
    stored = InMemoryChatMessageHistory()
    chain = RunnableWithMessageHistory(
        CHAT | MODEL,
        lambda: stored,
        input_messages_key="q",
        history_messages_key="history",
        history_factory_config=[],
    )
    await run(chain, {"q": "hi", "tone": "dry"})
    assert stored.messages[0] == MESSAGES[0]
    assert refused(chain, {"history": []}).keys() == {"q", "tone", "history"}


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
async def test_a_chain_of_messages_with_history_takes_messages() -> None:
    stored = InMemoryChatMessageHistory()
    whole = RunnableWithMessageHistory(MODEL, lambda: stored, history_factory_config=[])
    await run(whole, "hi")
    keyed = RunnableWithMessageHistory(
        ChatPromptTemplate([MessagesPlaceholder("all")]) | MODEL,
        lambda: stored,
        input_messages_key="all",
        history_factory_config=[],
    )
    await run(keyed, {"all": ["user", "hi"]})
    assert stored.messages[0] == stored.messages[2] == MESSAGES[0]


# -- functions and declared types ----------------------------------------------------------


def of_dict(question: dict) -> str:  # type: ignore[type-arg]
    return repr(question)


def of_old(question: Old) -> str:
    return repr(question)


def of_new(question: New) -> str:
    return repr(question)


def of_model(question: Question) -> str:
    return repr(question)


def of_data(question: "Data") -> str:
    return repr(question)


async def of_model_async(question: Question) -> str:
    return repr(question)


def of_root(question: RootModel[New]) -> str:
    return repr(question)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (of_dict, "{'text': 'hi'}"),
        (of_old, "{'text': 'hi'}"),
        (of_new, "{'text': 'hi'}"),
        (of_model, "Question(text='hi', top=3)"),
        (of_model_async, "Question(text='hi', top=3)"),
        (of_data, "Data(text='hi', top=3)"),
        (of_root, "RootModel[New](root={'text': 'hi'})"),
    ],
)
async def test_a_function_gets_what_its_annotation_says(function: Any, text: str) -> None:
    assert await run(RunnableLambda(function), {"text": "hi"}) == text
    assert await run(RunnableLambda(function).with_retry() | seen, {"text": "hi"}) == repr(text)


@pytest.mark.parametrize("function", [of_old, of_new, of_model, of_data])
def test_the_fields_of_a_functions_argument_are_checked(function: Any) -> None:
    wrong = refused(RunnableLambda(function), {"top": "many", "x": 1})
    assert wrong.keys() == {"text", "top", "x"}
    assert chain_inputs(RunnableLambda(function)).for_chain("hi")


def test_a_mapping_is_any_object() -> None:
    fields = chain_inputs(RunnableLambda(of_dict))
    assert fields.for_chain({"a": 1, "b": [2]}) == {"a": 1, "b": [2]}
    assert fields.for_chain(fields.pick(MultiDict({"a": "1"}))) == {"a": "1"}
    with pytest.raises(InputError, match="send a JSON object"):
        fields.for_chain("hi")


@pytest.mark.parametrize("kind", [Old, New, Question, Data])
async def test_a_declared_type_is_the_body_itself(kind: Any) -> None:
    chain = RunnableLambda(seen).with_types(input_type=kind)
    assert (await run(chain, {"text": "hi", "top": 1})) == "{'text': 'hi', 'top': 1}"
    assert refused(chain, {"top": "many", "x": 1}).keys() == {"text", "top", "x"}


async def test_a_declared_type_that_is_no_object_is_wrapped() -> None:
    assert await run(RunnableLambda(seen).with_types(input_type=int), {"input": "3"}) == "3"
    chain = RunnableLambda(seen).with_types(input_type=list[AnyMessage])
    assert chain_inputs(chain).for_chain("hi") == MESSAGES


async def test_a_declared_type_that_the_function_takes_stays_an_instance() -> None:
    chain = RunnableLambda(of_model).with_types(input_type=Question)
    assert await run(chain, "hi") == "Question(text='hi', top=3)"


async def test_a_generic_runnable_on_a_standard_typed_dict() -> None:
    class Own(Runnable[Old, str]):
        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> str:  # noqa: A002
            return repr(input)

    assert await run(Own(), "hi") == "{'text': 'hi'}"


async def test_a_tool_takes_its_arguments() -> None:
    @tool
    def add(a: Annotated[int, Field(ge=0)], b: int = 1) -> int:
        """Add."""
        return a + b

    assert await run(add, {"a": 2}) == 3
    assert list(refused(add, {"a": -1})) == ["a"]


# -- parallel, assigned and branching ------------------------------------------------------


async def test_a_map_takes_what_each_of_its_parts_takes() -> None:
    chain = {"context": itemgetter("topic") | RETRIEVER, "q": itemgetter("q"), "all": seen} | (
        RunnablePassthrough()
    )
    assert (await run(chain, {"topic": "a", "q": "b", "more": 1}))["q"] == "b"
    assert refused(chain, {"x": 1}).keys() == {"topic", "q"}


async def test_a_map_over_a_text_takes_a_text() -> None:
    chain = {"context": RETRIEVER, "question": RunnablePassthrough()} | RunnablePassthrough()
    assert (await run(chain, "hi"))["question"] == "hi"


async def test_an_assigned_value_is_not_asked_for_but_what_it_is_made_of_is() -> None:
    prompt = ChatPromptTemplate.from_template("{context}{tone}")
    chain = RunnablePassthrough.assign(context=itemgetter("topic") | RETRIEVER) | prompt | MODEL
    await run(chain, {"topic": "a", "tone": "dry"})
    assert refused(chain, {"context": "x"}).keys() == {"topic", "tone", "context"}


async def test_an_assigned_value_of_unknown_needs_leaves_any_object() -> None:
    chain = RunnablePassthrough.assign(x=seen)
    assert await run(chain, {"a": 1}) == {"a": 1, "x": "{'a': 1}"}


async def test_a_branch_requires_what_each_of_its_ways_requires() -> None:
    short, long = (PromptTemplate.from_template(text) for text in ("{a}", "{a}{b}"))
    chain = RunnableBranch((lambda x: x.get("mode"), short), long)
    assert required(chain) == {"a": True, "b": False}
    await run(chain, {"a": "1", "b": "2"})
    await run(chain, {"a": "1", "mode": "short"})


def test_alternatives_take_what_is_configured() -> None:
    other = PromptTemplate.from_template("{other}")
    chain = PromptTemplate.from_template("{question}").configurable_alternatives(
        ConfigurableField("prompt"), other=other
    )
    assert list(chain_inputs(chain | MODEL).hints) == ["question"]
    chosen = (chain | MODEL).with_config(configurable={"prompt": "other"})
    assert list(chain_inputs(chosen).hints) == ["other"]


# -- graphs --------------------------------------------------------------------------------


def graph(state: Any, **options: Any) -> Any:
    builder = StateGraph(state, **options)
    builder.add_node("node", lambda _: {})
    builder.add_edge(START, "node")
    return builder.compile()


class OldState(typing.TypedDict):
    question: str
    answer: str


class NewState(typing_extensions.TypedDict):
    question: Required[str]
    answer: str
    steps: RemainingSteps
    note: Annotated[Required[str], "odd, but legal"]
    secret: Annotated[str, PrivateStateAttr]
    draft: NotRequired[Annotated[str, OmitFromInput]]
    notes: Annotated[list[AnyMessage], add_messages, PrivateStateAttr]


class OldMessages(typing.TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    topic: str


class TutorialMessages(typing_extensions.TypedDict):
    messages: Annotated[list, add_messages]  # type: ignore[type-arg]
    topic: str


@dataclass
class DataState:
    messages: Annotated[list[AnyMessage], add_messages]
    topic: str = ""


class ModelState(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages]
    topic: str = ""


class OptionalMessages(typing_extensions.TypedDict, total=False):
    messages: NotRequired[Annotated[list[AnyMessage], add_messages]]
    topic: str


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return city


AGENT = create_agent(FakeListChatModel(responses=["hi"]), tools=[])


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (graph(OldState), {"question": False, "answer": False}),
        (graph(OldState, input_schema=Old), {"text": False, "top": False}),
        (graph(NewState), {"question": True, "answer": False, "note": True}),
        (graph(OldMessages), {"messages": False, "topic": False}),
        (graph(TutorialMessages), {"messages": False, "topic": False}),
        (graph(MessagesState), {"messages": True}),
        (graph(DataState), {"messages": False, "topic": False}),
        (graph(ModelState), {"messages": False, "topic": False}),
        (graph(OptionalMessages), {"messages": False, "topic": False}),
        (graph(AgentState), {"messages": True}),
        (AGENT, {"messages": True}),
        (AGENT.with_config(tags=["x"]), {"messages": True}),
        (AGENT | seen, {"messages": True}),
        (AGENT.with_retry(), {"messages": True}),
    ],
)
def test_the_state_of_a_graph_is_the_body_itself(chain: Any, expected: dict[str, bool]) -> None:
    assert required(chain) == expected


@pytest.mark.parametrize("state", [OldMessages, TutorialMessages, DataState, ModelState])
@pytest.mark.parametrize(
    "messages", ["hi", {"role": "user", "content": "hi"}, ["user", "hi"], [["user", "hi"]]]
)
async def test_a_graph_takes_messages_in_any_form(state: Any, messages: Any) -> None:
    answer = await run(graph(state), {"messages": messages, "topic": "t"})
    assert [message.content for message in answer["messages"]] == ["hi"]
    assert chain_inputs(graph(state)).for_chain("hi") == {"messages": MESSAGES}


async def test_an_agent_takes_messages() -> None:
    answer = await run(AGENT, {"messages": [{"role": "user", "content": "hello"}]})
    assert [message.content for message in answer["messages"]] == ["hello", "hi"]
    assert refused(AGENT, {}) == {"messages": "Field required"}
    wrong = refused(AGENT, {"messages": [{"lc": 1, "type": "constructor"}], "jump_to": "end"})
    assert wrong.keys() == {"messages.0", "jump_to"}


async def test_an_agent_with_a_state_of_its_own() -> None:
    class Own(AgentState[Any]):
        user: str
        secret: NotRequired[Annotated[str, PrivateStateAttr]]

    chain = create_agent(FakeListChatModel(responses=["hi"]), tools=[], state_schema=Own)
    assert required(chain) == {"messages": True, "user": False}
    assert (await run(chain, {"messages": "x", "user": "ann"}))["user"] == "ann"


async def test_a_graph_takes_a_part_of_its_state_but_not_none() -> None:
    assert await run(graph(OldState), {"question": "hi"}) == {"question": "hi"}
    with pytest.raises(
        InputError, match="at least one of the inputs of this chain: question, answ"
    ):
        chain_inputs(graph(OldState)).for_chain({})
    assert list(refused(graph(OldState), {"quesion": "hi"})) == ["quesion"]


async def test_a_graph_whose_state_is_no_object() -> None:
    builder = StateGraph(Annotated[list, add])  # type: ignore[type-var]
    builder.add_node("node", lambda state: state)
    builder.add_edge(START, "node")
    assert await run(builder.compile(), {"input": [1]}) == [1, 1]


async def test_a_function_as_a_graph() -> None:
    @entrypoint()
    async def flow(question: Old) -> str:
        return question["text"]

    assert await run(flow, {"text": "hi"}) == "hi"


# -- classic chains ------------------------------------------------------------------------


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
async def test_a_classic_chain_takes_the_keys_that_it_names_and_not_those_of_its_memory() -> None:
    chain = LLMChain(llm=MODEL, prompt=CHAT)
    assert required(chain) == {"history": True, "q": True, "tone": True}
    await run(chain, {"q": "hi", "tone": "dry", "history": ["a", ["ai", "b"]]})
    remembers = LLMChain(
        llm=MODEL,
        prompt=CHAT,
        memory=ConversationBufferMemory(memory_key="history", input_key="q", return_messages=True),
    )
    assert required(remembers) == {"q": True, "tone": True}
    await run(remembers, {"q": "hi", "tone": "dry"})
    assert set(chain_inputs(ConversationChain(llm=MODEL)).hints) == {"input"}
    assert required(LLMChain(llm=MODEL, prompt=OPTIONAL)) == {"history": False, "q": True}


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
def test_a_classic_chain_without_types_takes_any_values() -> None:
    chain = TransformChain(input_variables=["a", "b"], output_variables=["c"], transform=len)
    assert chain_inputs(chain).for_chain({"a": 1, "b": [2]}) == {"a": 1, "b": [2]}
    assert list(refused(chain, {"a": 1})) == ["b"]


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
async def test_a_chain_of_documents_takes_documents() -> None:
    prompt = PromptTemplate.from_template("{text}")
    chain = StuffDocumentsChain(
        llm_chain=LLMChain(llm=MODEL, prompt=prompt), document_variable_name="text"
    )
    assert await run(chain, {"input_documents": [{"page_content": "x"}]})


def conversational(**options: Any) -> Any:
    return ConversationalRetrievalChain.from_llm(MODEL, RETRIEVER, **options)


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
@pytest.mark.parametrize(
    ("message", "history"),
    [
        ("hi", []),
        ({"question": "hi"}, []),
        ({"question": "hi", "chat_history": [["who?", "me"]]}, [("who?", "me")]),
        ({"question": "hi", "chat_history": [["user", "hi"]]}, MESSAGES),
        ({"question": "hi", "chat_history": {"role": "user", "content": "hi"}}, MESSAGES),
    ],
)
async def test_a_conversational_chain_takes_a_history_of_pairs_or_messages(
    message: Any, history: Any
) -> None:
    chain = conversational()
    inputs = chain_inputs(chain).for_chain(message)
    assert inputs == {"question": "hi", "chat_history": history}
    assert (await chain.ainvoke(inputs))["answer"]


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
async def test_a_conversational_chain_with_a_memory_takes_no_history() -> None:
    memory = ConversationBufferMemory(memory_key="chat_history", return_messages=True)
    assert required(conversational(memory=memory)) == {"question": True}
    assert await run(conversational(memory=memory), "hi")


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
def test_an_agent_executor_takes_the_variables_of_its_prompt_but_its_own_and_its_memorys() -> None:
    prompt = ChatPromptTemplate.from_messages(
        [
            ("placeholder", "{chat_history}"),
            ("human", "{input}"),
            ("placeholder", "{agent_scratchpad}"),
        ]
    )
    made = create_tool_calling_agent(BindsTools(responses=["hi"]), [weather], prompt)
    executor = AgentExecutor(agent=made, tools=[weather])
    assert required(executor) == {"chat_history": False, "input": True}
    assert chain_inputs(executor).for_chain({"input": "x", "chat_history": "hi"}) == {
        "input": "x",
        "chat_history": MESSAGES,
    }
    memory = ConversationBufferMemory(memory_key="chat_history", return_messages=True)
    assert required(AgentExecutor(agent=made, tools=[weather], memory=memory)) == {"input": True}


class BindsTools(FakeListChatModel):
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[])


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
async def test_an_agent_executor_runs_with_its_inputs() -> None:
    prompt = ChatPromptTemplate.from_messages(
        [("placeholder", "{chat_history}"), ("human", "{input}"), ("ai", "{agent_scratchpad}")]
    )
    made = create_tool_calling_agent(
        BindsTools(responses=["hi"]),
        [weather],
        ChatPromptTemplate.from_messages(
            [*prompt.messages[:2], ("placeholder", "{agent_scratchpad}")]
        ),
    )
    executor = AgentExecutor(agent=made, tools=[weather])
    assert (await run(executor, {"input": "x", "chat_history": [["ai", "y"]]}))["output"] == "hi"


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
def test_an_agent_of_old_names_its_inputs_itself() -> None:
    made = ZeroShotAgent.from_llm_and_tools(MODEL, [weather])
    assert required(AgentExecutor(agent=made, tools=[weather])) == {"input": True}


@pytest.mark.filterwarnings(LANGCHAIN_WARNING)
async def test_an_executor_of_an_agent_that_says_nothing_takes_any_object() -> None:
    def finish(given: dict) -> AgentFinish:  # type: ignore[type-arg]
        return AgentFinish({"output": given["a"]}, "")

    executor = AgentExecutor(agent=RunnableLambda(finish), tools=[])
    assert (await run(executor, {"a": "hi"}))["output"] == "hi"


def answering(*history: Any) -> Any:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "{context}"), *history, ("human", "{input}")]
    )
    return create_stuff_documents_chain(MODEL, prompt)


async def test_a_retrieval_chain_takes_a_question() -> None:
    chain = create_retrieval_chain(RETRIEVER, answering())
    assert required(chain) == {"input": True}
    assert (await run(chain, "hi"))["context"] == [Document("about hi")]


@pytest.mark.parametrize("optional", [True, False])
async def test_a_retrieval_chain_with_a_history_takes_it_as_messages(optional: bool) -> None:
    history = MessagesPlaceholder("chat_history", optional=optional)
    rephrase = ChatPromptTemplate.from_messages([history, ("human", "{input}")])
    retriever = create_history_aware_retriever(MODEL, RETRIEVER, rephrase)
    chain = create_retrieval_chain(retriever, answering(history))
    assert required(chain) == {"input": True, "chat_history": not optional}
    answer = await run(chain, {"input": "hi", "chat_history": [["user", "a"], ["ai", "b"]]})
    assert answer["context"]
    assert required(create_retrieval_chain(retriever, answering()))["chat_history"] is False


# -- models of the developer's own ---------------------------------------------------------


class Ask(BaseModel):
    question: str = Field(alias="q")
    limit: int = Field(3, ge=1, validation_alias=AliasChoices("limit", AliasPath("limits", 0)))

    @model_validator(mode="after")
    def not_too_much(self) -> "Ask":
        if self.limit > len(self.question):
            raise ValueError("the limit is beyond the question")
        return self


def test_an_input_model_overrides_what_the_chain_says() -> None:
    fields = chain_inputs(LCEL, Ask)
    assert fields.for_chain({"q": "long"}) == {"question": "long", "limit": 3}
    assert fields.for_chain({"q": "long", "limits": [2]}) == {"question": "long", "limit": 2}
    assert fields.for_chain("long") == {"question": "long", "limit": 3}


def test_an_input_model_refuses_by_name_what_it_would_ignore() -> None:
    assert refused(LCEL, {"question": "x", "limit": 0, "more": 1}, input_model=Ask) == {
        "q": "Field required",
        "limit": "Input should be greater than or equal to 1",
        "question": "Extra inputs are not permitted",
        "more": "Extra inputs are not permitted",
    }
    assert list(refused(LCEL, {"q": "long", "more": 1}, input_model=Ask)) == ["more"]


def test_what_is_wrong_with_a_whole_input_model_belongs_to_no_field() -> None:
    with pytest.raises(
        InputError, match=r"the inputs do not fit: the limit is beyond the question$"
    ) as e:
        chain_inputs(LCEL, Ask).for_chain("hi")
    assert e.value.fields == {}


def test_an_input_model_may_accept_names_besides_aliases_and_fields_beyond_its_own() -> None:
    class Both(BaseModel):
        model_config = ConfigDict(populate_by_name=True, extra="allow")
        question: str = Field(alias="q")

    fields = chain_inputs(LCEL, Both)
    assert fields.for_chain({"question": "hi"}) == {"question": "hi"}
    assert fields.for_chain({"q": "hi", "more": 1}) == {"question": "hi", "more": 1}
    strict = type("Strict", (Both,), {"model_config": ConfigDict(extra="ignore")})
    assert list(refused(LCEL, {"question": "hi", "more": 1}, input_model=strict)) == ["more"]


def test_an_input_model_is_dumped_with_messages_as_they_are() -> None:
    class Inner(BaseModel):
        x: int

    class Chat(BaseModel):
        messages: Messages
        documents: list[Document] = []
        inner: Inner

    message = {"messages": "hi", "documents": [{"page_content": "d"}], "inner": {"x": 1}}
    assert chain_inputs(MODEL, Chat).for_chain(message) == {
        "messages": MESSAGES,
        "documents": [Document("d")],
        "inner": {"x": 1},
    }


class Talk(BaseModel):
    messages: list[AnyMessage]


class Wrapped(BaseModel):
    talk: Talk


class Part(BaseModel):
    chunk: AIMessageChunk


CUT_OFF = '{"a":' + 50 * " "
CUT_OFF_CHUNKS = [{"name": "x", "args": CUT_OFF, "id": "1", "index": 0}]


@pytest.fixture
def guesses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the texts that LangChain completes to JSON by guessing, in quadratic time."""
    found: list[str] = []

    def parse(text: str) -> dict[str, Any]:
        found.append(text)
        return {}

    monkeypatch.setattr("langchain_core.messages.ai.parse_partial_json", parse)
    return found


def chunk() -> dict[str, Any]:
    calls = [dict(call) for call in CUT_OFF_CHUNKS]
    return {"type": "AIMessageChunk", "content": "x", "tool_call_chunks": calls}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_model": Talk}, {"messages": [chunk()]}),
        ({"input_model": Wrapped}, {"talk": {"messages": [chunk()]}}),
        ({"input_model": RootModel[list[Talk]]}, {"input": [{"messages": [chunk()]}]}),
        ({"input_model": RootModel[list[AnyMessage]]}, {"input": [chunk()]}),
    ],
)
def test_the_messages_of_somebodys_own_model_are_whole_messages(
    guesses: list[str], options: dict[str, Any], message: Any
) -> None:
    found = repr(chain_inputs(MODEL, **options).for_chain(message))
    assert "AIMessage(content='x'" in found or "'type': 'ai'" in found
    assert "Chunk" not in found
    assert guesses == []


@pytest.mark.parametrize(
    "data",
    [
        {"tool_call_chunks": CUT_OFF_CHUNKS},
        {"additional_kwargs": {"tool_calls": [{"function": {"name": "x", "arguments": CUT_OFF}}]}},
    ],
)
def test_a_model_with_a_chunk_in_it_has_none_completed(
    guesses: list[str], data: dict[str, Any]
) -> None:
    chain_inputs(MODEL, Part).for_chain({"chunk": {"content": "x", **copy.deepcopy(data)}})
    assert guesses == []


async def test_a_graph_behind_a_function_that_takes_anything_gets_whole_messages(
    guesses: list[str],
) -> None:
    def pass_on(given: dict[str, Any]) -> dict[str, Any]:
        return given

    given: list[Any] = []
    builder = StateGraph(Talk).add_node("node", given.append).add_edge(START, "node")
    chain = RunnableLambda(pass_on) | builder.compile()
    assert isinstance(chain_inputs(chain), AnyObject)
    await run(chain, {"messages": [chunk()]})
    assert "AIMessage(content='x'" in repr(given)
    assert guesses == []


# -- how many messages an input may hold ---------------------------------------------------


class Turns(BaseModel):
    model_config = ConfigDict(validate_by_name=True)

    turns: list[AnyMessage] = Field([], validation_alias="history")
    tags: list[str] = []


class Tree(BaseModel):
    messages: list[AnyMessage] = []
    replies: "list[Tree]" = []


@dataclass
class Noted:
    notes: list[str]
    talk: Talk | None = None


def takes(kind: Any) -> Runnable[Any, Any]:
    return RunnableLambda(seen).with_types(input_type=kind)


HUMAN = {"type": "human", "content": ""}
SAID = [HUMAN] * 3


@pytest.mark.parametrize(
    ("chain", "message", "field"),
    [
        (MODEL, {"input": ["", "", ""]}, "input"),
        (MODEL, {"input": [["user", ""], ["ai", ""], "x"]}, "input"),
        (CHAT | MODEL, {"tone": "x", "q": "x", "history": ["", "", ""]}, "history"),
        (OPTIONAL | MODEL, {"q": "x", "history": ["", "", ""]}, "history"),
        (graph(MessagesState), {"messages": SAID}, "messages"),
        (takes(list[tuple[str, str] | BaseMessage]), {"input": [["a", "b"]] * 3}, "input"),
        (takes(list[list[BaseMessage]]), {"input": [[""], [""], [""]]}, "input"),
        (takes(dict[str, list[BaseMessage]]), {"a": [""], "b": ["", ""]}, "b"),
        (takes(dict[str, BaseMessage]), {"type": "x", "role": "y", "content": "z"}, "type"),
        (takes(list[BaseMessage] | int), {"input": ["", "", ""]}, "input"),
        (takes(Talk), {"messages": SAID}, "messages"),
        (takes(Wrapped), {"talk": {"messages": SAID}}, "talk"),
        (takes(Turns), {"history": SAID}, "history"),
        (takes(Turns), {"turns": SAID}, "turns"),
        (takes(Tree), {"replies": [{"messages": SAID}]}, "replies"),
        (takes(Noted), {"notes": [], "talk": {"messages": SAID}}, "talk"),
        (takes(RootModel[list[AnyMessage]]), {"input": SAID}, "input"),
        (takes(list[Talk]), {"input": [{"messages": [HUMAN]}] * 3}, "input"),
        (MODEL.map(), {"input": [{"input": ["", ""]}, ""]}, "input"),
        (MODEL.map().map(), {"input": [{"input": ["", ""]}, {"input": [""]}]}, "input"),
        ((CHAT | MODEL).map(), {"input": [{"history": ["", "", ""]}]}, "input"),
        (LCEL.map(), {"input": ["", "", ""]}, "input"),
        (LCEL.map(), {"input": [{}, {}, {}]}, "input"),
        (LCEL.map().map(), {"input": [{"input": ["", ""]}, {"input": [""]}]}, "input"),
        (RunnableLambda(seen), {"a": {"messages": ["", "", ""]}}, "a"),
        (RunnableLambda(seen), {"messages": ["", "", ""]}, "messages"),
        (RunnableLambda(seen), {"a": SAID}, "a"),
        (RunnableLambda(seen), {"a": [["user", ""]] * 3}, "a"),
    ],
)
def test_more_messages_than_may_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, chain: Any, message: Any, field: str
) -> None:
    made: list[object] = []
    monkeypatch.setattr(BaseMessage, "__init__", lambda self, *_, **__: made.append(self))
    with pytest.raises(InputError) as refusal:
        chain_inputs(chain).for_chain(message, InputPolicy(max_messages=2))
    assert refusal.value.fields == {field: "send no more than 2 messages"}
    assert made == []


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (MODEL, {"input": ["", "", ""]}),
        (graph(MessagesState), {"messages": SAID}),
        (takes(Turns), {"turns": SAID, "tags": ["a", "b", "c", "d"]}),
        (takes(Noted), {"notes": ["a", "b", "c", "d"]}),
        (takes(list[str]), {"input": ["a", "b", "c", "d"]}),
        (MODEL.map(), {"input": ["a", "b", "c"]}),
    ],
)
def test_as_many_messages_as_may_be_are_taken_and_anything_else(chain: Any, message: Any) -> None:
    chain_inputs(chain).for_chain(message, InputPolicy(max_messages=3))
    chain_inputs(chain).for_chain(message)


def test_a_root_model_gives_its_root() -> None:
    assert chain_inputs(MODEL, RootModel[list[int]]).for_chain({"input": ["1"]}) == [1]
    assert chain_inputs(MODEL, RootModel[str]).for_chain("hi") == "hi"
    assert chain_inputs(MODEL, RootModel[Messages]).for_chain("hi") == MESSAGES
    assert chain_inputs(LCEL, RootModel[New]).for_chain({"text": "hi"}) == {"text": "hi"}
    assert chain_inputs(LCEL, RootModel[dict[str, int]]).for_chain({"a": "1"}) == {"a": 1}
    assert chain_inputs(LCEL, RootModel[Question]).for_chain("hi") == {"text": "hi", "top": 3}
    assert refused(LCEL, {"text": "hi", "x": 1}, input_model=RootModel[New]).keys() == {"x"}


def test_a_query_string_has_the_fields_of_an_input_model() -> None:
    class Tags(BaseModel):
        tags: list[str]
        q: str

    fields = chain_inputs(LCEL, Tags)
    query = MultiDict([("tags", "a"), ("tags", "b"), ("q", "x")])
    assert fields.for_chain(fields.pick(query)) == {"tags": ["a", "b"], "q": "x"}


# -- what the factory declares -------------------------------------------------------------


def test_what_a_factory_declares_overrides_what_the_chain_says() -> None:
    fields = chain_inputs(LCEL, declared=Question)
    assert fields.for_chain({"text": "hi", "top": "2"}) == {"text": "hi", "top": 2}
    assert fields.for_chain("hi") == {"text": "hi", "top": 3}
    wrong = {"question": "hi", "top": 0}
    assert refused(LCEL, wrong, declared=Question).keys() == {"text", "top", "question"}


@pytest.mark.parametrize("kind", [Question, Data])
async def test_a_declared_type_reaches_the_chain_as_it_takes_it(kind: Any) -> None:
    takes = RunnableLambda(of_model if kind is Question else of_data)
    instance = chain_inputs(takes, declared=kind).for_chain("hi")
    assert await takes.ainvoke(instance) == f"{kind.__name__}(text='hi', top=3)"
    assert chain_inputs(takes | seen, declared=kind).for_chain("hi") == instance
    assert chain_inputs(RunnableLambda(seen), declared=kind).for_chain("hi") == {
        "text": "hi",
        "top": 3,
    }


def test_a_chain_that_takes_another_class_gets_what_is_declared_as_a_dict() -> None:
    fields = chain_inputs(RunnableLambda(of_model), declared=Ask)
    assert fields.for_chain({"q": "long"}) == {"question": "long", "limit": 3}


@pytest.mark.parametrize("kind", [Question, Data])
def test_a_chain_that_is_not_known_takes_what_is_declared(kind: Any) -> None:
    fields = chain_inputs(None, declared=kind)
    assert fields.for_chain("hi") == {"text": "hi", "top": 3}
    assert refused(None, {"top": "many", "x": 1}, declared=kind).keys() == {"text", "top", "x"}


def test_a_chain_of_which_nothing_is_known_takes_any_object() -> None:
    fields = chain_inputs(None)
    assert fields.for_chain({"a": [1], "b": None}) == {"a": [1], "b": None}
    assert not fields.is_known
    assert fields.text_field is None


@pytest.mark.parametrize("chain", [None, LCEL, RunnableLambda(of_model)])
def test_an_input_model_counts_more_than_what_is_declared(chain: Any) -> None:
    fields = chain_inputs(chain, Ask, Question)
    assert fields.for_chain({"q": "long"}) == {"question": "long", "limit": 3}


# -- what the documents say ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "text_field"),
    [
        (LCEL, "question"),
        (CHAT, None),
        (OPTIONAL, "q"),
        (MODEL, "input"),
        (RunnableLambda(of_new), "text"),
        (RunnableLambda(of_data), "text"),
        (RunnableLambda(of_dict), None),
        (RunnableLambda(seen), "input"),
        (graph(OldState), None),
        (graph(OldMessages), "messages"),
        (AGENT, "messages"),
    ],
)
def test_the_text_field_is_the_one_that_a_bare_text_is_for(chain: Any, text_field: Any) -> None:
    assert chain_inputs(chain).text_field == text_field


@pytest.mark.parametrize("state", [OldState, NewState, OldMessages, DataState, ModelState])
def test_the_schema_of_a_state_refuses_an_empty_one_as_the_graph_does(state: Any) -> None:
    schema = chain_inputs(graph(state)).adapter.json_schema()
    assert schema["minProperties"] == 1
    assert refused(graph(state), {}) is not None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, schema)


@pytest.mark.parametrize("chain", [LCEL, MODEL, RunnableLambda(of_new), RunnableLambda(of_dict)])
def test_the_schema_of_anything_else_does_not_count_its_fields(chain: Any) -> None:
    assert "minProperties" not in chain_inputs(chain).adapter.json_schema()


def test_a_chain_that_needs_no_input_takes_an_empty_object() -> None:
    prompt = ChatPromptTemplate.from_messages([("placeholder", "{history}"), ("human", "hi")])
    fields = chain_inputs(prompt | MODEL)
    assert fields.for_chain({}) == {}
    jsonschema.validate({}, fields.adapter.json_schema())


# -- query strings -------------------------------------------------------------------------

JSON = '{"text": "hi"}'


def picked(hint: Any, *values: str) -> Any:
    return Fields({"field": hint}).pick(MultiDict(("field", value) for value in values))["field"]


@pytest.mark.parametrize(
    "hint",
    [
        Question,
        Data,
        New,
        Question | None,
        typing.Optional[Data],  # noqa: UP045  # as people still write it
        Question | Data | None,
        NotRequired[Question],
        NotRequired[Question | None],
        Annotated[Question, Field(description="what?")],
        NotRequired[Annotated[Question | None, Field(description="what?")]],
        dict[str, str],
        dict,
        typing.Mapping[str, str],
        RootModel[New],
        RootModel[dict[str, str]],
    ],
)
def test_an_object_comes_as_json_in_a_query_string(hint: Any) -> None:
    assert picked(hint, JSON) == {"text": "hi"}
    with pytest.raises(InputError, match="field: is given more than once"):
        picked(hint, '{"text": "last"}', JSON)


@pytest.mark.parametrize(
    "hint",
    [
        list[Question],
        list[New] | None,
        NotRequired[list[Data]],
        Annotated[list[Question | None], Field(max_length=3)],
        tuple[Question, ...],
        set[Data],
        list[dict[str, str]],
        list[list[Question]],
        RootModel[list[Question]],
    ],
)
def test_a_list_of_objects_comes_as_json_in_a_query_string(hint: Any) -> None:
    assert picked(hint, f"[{JSON}]") == [{"text": "hi"}]


def test_what_came_as_json_is_checked() -> None:
    fields = Fields({"one": Question, "more": NotRequired[list[Question] | None]})
    query = MultiDict({"one": JSON, "more": f"[{JSON}]"})
    question = Question(text="hi")
    assert fields.for_chain(fields.pick(query)) == {"one": question, "more": [question]}
    query = MultiDict({"one": JSON, "more": "null"})
    assert fields.for_chain(fields.pick(query)) == {"one": question, "more": None}


@pytest.mark.parametrize(
    "text", ["{", "hi", "", '{"text": "hi"', "[" * 100_000, "7", '"hi"', "[]", "null", '{"top": 1}']
)
def test_json_that_does_not_fit_is_named_by_its_field(text: str) -> None:
    fields = Fields({"one": Question})
    with pytest.raises(InputError) as refusal:
        fields.for_chain(fields.pick(MultiDict({"one": text})))
    [name] = refusal.value.fields
    assert name.partition(".")[0] == "one"


@pytest.mark.parametrize(
    "hint",
    [
        str,
        str | None,
        NotRequired[str],
        int,
        Any,
        object,
        str | Question,
        int | dict[str, int],
        RootModel[str],
        Message,
        Message | None,
        Messages,
        NotRequired[Messages],
        Messages | None,
        TextOrMessages,
        NotRequired[TextOrMessages],
    ],
)
@pytest.mark.parametrize("text", [JSON, f"[{JSON}]", "null", "7", '"quoted"', "hi"])
def test_a_text_that_looks_like_json_stays_a_text(hint: Any, text: str) -> None:
    assert picked(hint, text) == text


@pytest.mark.parametrize(
    "hint", [list[str], list[Any], list, list[int] | None, NotRequired[set[str]], tuple[str, ...]]
)
@pytest.mark.parametrize("texts", [[JSON], ["[1]"], ["null", "7"]])
def test_a_list_of_what_looks_like_json_stays_a_list(hint: Any, texts: list[str]) -> None:
    assert picked(hint, *texts) == texts


@pytest.mark.parametrize("hint", [Messages, Messages | None, TextOrMessages])
def test_several_messages_stay_a_list_of_texts(hint: Any) -> None:
    assert picked(hint, JSON, "7") == [JSON, "7"]


@pytest.mark.parametrize("fields", [AnyObject(), Fields({"other": str})])
def test_what_is_not_known_stays_a_text(fields: Fields) -> None:
    query = MultiDict([("a", "7"), ("b", JSON), ("c", "null")])
    assert fields.pick(query) == {"a": "7", "b": JSON, "c": "null"}
    with pytest.raises(InputError, match="d: is given more than once"):
        fields.pick(MultiDict([("d", "1"), ("d", "1")]))


class OneMessage(typing_extensions.TypedDict):
    message: AnyMessage


def of_message(given: OneMessage) -> str:
    return repr(given)


def test_a_message_in_a_query_string_is_what_the_user_says() -> None:
    fields = chain_inputs(RunnableLambda(of_message))
    query = MultiDict({"message": "7"})
    assert fields.for_chain(fields.pick(query)) == {"message": HumanMessage("7")}


# -- chains that cannot say what they take -------------------------------------------------


class Untyped(Runnable):  # type: ignore[type-arg]
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        return input


class Unspeakable(Untyped):
    def get_input_schema(self, config: Any = None) -> Any:
        raise RuntimeError("no schema")


def of_nowhere(x: "Nowhere") -> str:  # type: ignore[name-defined]  # noqa: F821
    return repr(x)


@pytest.mark.parametrize("chain", [Unspeakable(), RunnableLambda(of_nowhere)])
async def test_any_object_is_the_input_of_a_chain_whose_schema_cannot_be_drawn(
    chain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert chain_inputs(chain).for_chain({"a": [1], "b": None}) == {"a": [1], "b": None}
    assert await run(chain, {"a": 1})
    assert chain_inputs(RunnableParallel(a=chain, b=LCEL)).for_chain("hi") == {"question": "hi"}
    assert not caplog.records


async def test_a_chain_without_types_takes_anything_wrapped() -> None:
    assert await run(Untyped(), {"input": [1]}) == [1]
    assert chain_inputs(RunnableParallel(a=Untyped(), b=LCEL)).for_chain("hi") == {"question": "hi"}


async def test_a_field_that_pydantic_cannot_check_is_anything() -> None:
    class Odd:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
            raise PydanticUserError("no schema", code=None)

    class Nested(typing_extensions.TypedDict):
        old: Old
        odd: Odd
        number: int

    value = {"old": {"text": "hi"}, "odd": "x", "number": "1"}
    assert await run(graph(Nested), value) == value | {"number": 1}
    assert list(refused(graph(Nested), {"number": "x"})) == ["number"]


def test_fields_that_are_named_as_those_of_chunks_are_the_chains_own() -> None:
    class Place(BaseModel):
        chunk_position: int
        docs: list[dict[str, Any]]

    docs = [{"type": "page", "chunk_position": 4, "invalid_tool_calls": [1]}]
    data = {"chunk_position": 3, "docs": docs}
    given = chain_inputs(None, Place).for_chain(data)
    assert given == {"chunk_position": 3, "docs": [dict(docs[0])]}
    prompt = ChatPromptTemplate.from_template("{chunk_position} {question}")
    asked = {"chunk_position": "3", "question": "q"}
    assert chain_inputs(prompt | FakeListChatModel(responses=["a"])).for_chain(asked) == asked
