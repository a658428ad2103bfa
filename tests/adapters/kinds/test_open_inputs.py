"""A chain takes what something in it may read, and refuses only what is known to be wrong."""

import textwrap
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any, NotRequired, get_origin

import pytest
from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
from langchain_classic.chains import create_retrieval_chain
from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import Document
from langchain_core.example_selectors import LengthBasedExampleSelector
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import (
    ChatPromptTemplate,
    FewShotPromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    PromptTemplate,
)
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
from pydantic import BaseModel, RootModel
from pydantic.v1 import BaseModel as OldModel
from quart import Quart
from typing_extensions import TypedDict

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.inputs.fields import Fields
from quart_lanarky.adapters.langchain.kinds.chain_inputs import chain_inputs
from quart_lanarky.errors import InputError
from tests.adapters.chains import LCEL, MODEL, PROMPT, Calling

BOTH = ChatPromptTemplate.from_template("{context} {question}")
ASKED = {"question": "q", "user_id": "7"}


class Asked(TypedDict):
    question: str


def look_up(inputs: dict) -> str:  # type: ignore[type-arg]
    return f"{inputs['question']} {inputs['user_id']}"


def tidy(inputs: Any) -> str:
    return " ".join(inputs["question"])


def of_text(text: str) -> str:
    return text


def of_asked(asked: Asked) -> str:
    return asked["question"]


def of_either(asked: str | dict[str, Any]) -> str:
    return repr(asked)


def take(chain: Any, message: Any, **options: Any) -> Any:
    return chain_inputs(chain, **options).for_chain(message)


def refused(chain: Any, message: Any, **options: Any) -> set[str]:
    with pytest.raises(InputError) as refusal:
        take(chain, message, **options)
    return set(refusal.value.fields)


def required(fields: Fields) -> dict[str, bool]:
    return {name: get_origin(hint) is not NotRequired for name, hint in fields.hints.items()}


# -- functions see the whole input ---------------------------------------------------------


@pytest.mark.parametrize(
    "chain",
    [
        RunnablePassthrough.assign(context=look_up) | BOTH | MODEL,
        RunnablePassthrough.assign(context=tidy) | BOTH | MODEL,
        {"context": look_up, "question": itemgetter("question")} | BOTH | MODEL,
        RunnableParallel(context=look_up, question=itemgetter("question")) | BOTH,
        RunnableParallel(context=look_up, answer=LCEL),
        RunnablePassthrough.assign(question=look_up) | PROMPT,
        RunnablePassthrough.assign(context=look_up).assign(more=LCEL) | BOTH,
        RunnablePassthrough.assign(context=itemgetter("question")) | look_up,
        RunnablePassthrough.assign(context=itemgetter("question")),
        (RunnablePassthrough.assign(context=look_up) | BOTH).with_config(tags=["x"]) | MODEL,
        RunnablePassthrough(lambda _: None) | LCEL,
        RunnableLambda(look_up) | MODEL,
        RunnableLambda(lambda given: given["user_id"]) | MODEL,
        RunnableLambda(partial(look_up)) | MODEL,
        RunnableBranch((lambda given: given["user_id"] == "7", LCEL), LCEL),
        RunnableBranch((itemgetter("user_id"), RunnableLambda(look_up)), LCEL),
        LCEL.with_fallbacks([RunnableLambda(look_up)]),
        RunnableLambda(of_either),
    ],
)
async def test_what_a_function_may_read_is_passed_on(chain: Runnable[Any, Any]) -> None:
    fields = chain_inputs(chain)
    assert fields.for_chain(ASKED) == ASKED
    assert fields.is_open
    await chain.ainvoke(ASKED)


@pytest.mark.parametrize(
    "chain",
    [
        LCEL,
        RunnablePassthrough() | LCEL,
        RunnablePassthrough.assign(context=itemgetter("question")) | BOTH,
        RunnableParallel(a=itemgetter("question"), b=LCEL),
        RunnablePick("question") | look_up,
        RunnableLambda(of_asked),
        {"context": of_asked, "question": itemgetter("question")} | BOTH,
        LCEL.with_fallbacks([LCEL]),
        RunnableBranch((itemgetter("question"), LCEL), PROMPT),
    ],
)
def test_what_nothing_reads_is_refused_by_name(chain: Runnable[Any, Any]) -> None:
    assert take(chain, {"question": "q"}) == {"question": "q"}
    assert refused(chain, ASKED) == {"user_id"}


def test_what_a_part_is_known_to_need_is_required_although_others_see_the_whole_input() -> None:
    chain = RunnablePassthrough.assign(context=look_up) | BOTH | MODEL
    assert refused(chain, {"user_id": "7"}) == {"question"}
    assert refused(chain, {"question": [], "user_id": "7"}) == {"question"}
    assert take(chain, "q") == {"question": "q"}
    chain = RunnablePassthrough.assign(context=RunnableLambda(of_asked)) | look_up
    assert refused(chain, {"user_id": "7"}) == {"question"}


def test_an_assigned_value_may_be_made_of_what_it_replaces() -> None:
    chain = RunnablePassthrough.assign(question=tidy) | PROMPT
    assert take(chain, {"question": ["a", "b"]}) == {"question": ["a", "b"]}
    assert chain.invoke({"question": ["a", "b"]}).to_string() == "a b"
    getter = (
        RunnablePassthrough.assign(question=itemgetter("question") | RunnableLambda(str)) | PROMPT
    )
    assert take(getter, {"question": [1]}) == {"question": [1]}
    assert refused(getter, {}) == {"question"}


def test_what_an_assignment_replaces_and_nothing_reads_is_refused() -> None:
    chain = RunnablePassthrough.assign(context=itemgetter("question")) | BOTH
    assert refused(chain, {"question": "q", "context": "c"}) == {"context"}


ONE_LINE = """
chain = {"context": lambda x: x["question"].upper(), "question": lambda x: x["question"]} | PROMPT
"""
SEVERAL_LINES = """
chain = {
    "context": lambda x: (
        x["question"].upper()
    ),
    "question": lambda x: x["question"],
} | PROMPT
"""


@pytest.mark.parametrize("source", [ONE_LINE, SEVERAL_LINES], ids=["one line", "several lines"])
def test_how_the_source_of_a_function_looks_decides_nothing(tmp_path: Path, source: str) -> None:
    path = tmp_path / "chains.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    names: dict[str, Any] = {"PROMPT": BOTH}
    exec(compile(source, str(path), "exec"), names)  # noqa: S102  # from a file, for `inspect`
    fields = chain_inputs(names["chain"])
    assert fields.hints == {}
    assert fields.for_chain(ASKED) == ASKED
    assert fields.for_chain({"input": "x"}) == {"input": "x"}
    assert fields.for_chain("a text") == "a text"


def test_a_key_that_a_function_gets_by_get_is_optional() -> None:
    prompt = ChatPromptTemplate.from_messages([("placeholder", "{history}"), ("human", "{q}")])
    chain = RunnablePassthrough.assign(history=lambda x: x.get("chat_history", [])) | prompt
    fields = chain_inputs(chain)
    assert required(fields) == {"q": True}
    assert fields.for_chain({"q": "hi"}) == {"q": "hi"}
    history = {"q": "hi", "chat_history": [["user", "hi"]]}
    assert chain.invoke(fields.for_chain(history)).messages == [HumanMessage("hi")] * 2


def test_an_itemgetter_names_its_keys_whatever_they_look_like() -> None:
    fields = chain_inputs(RunnableLambda(itemgetter("a, b", "it's", "c")))
    assert required(fields) == {"a, b": True, "it's": True, "c": True}
    assert chain_inputs(RunnableLambda(itemgetter(0))).for_chain({"input": [7]}) == [7]


def test_keys_that_are_picked_may_be_missing() -> None:
    assert take(RunnablePick("a"), {}) == {}
    assert take(RunnablePick(["a", "b"]), {"b": 1}) == {"b": 1}
    assert refused(RunnablePick(["a", "b"]), {"c": 1}) == {"c"}


# -- a function alone ----------------------------------------------------------------------


def of_anything(given: Any) -> str:
    return repr(given)


@pytest.mark.parametrize(
    "chain",
    [
        RunnableLambda(lambda given: given),
        RunnableLambda(of_anything),
        RunnableLambda(lambda given: given) | PROMPT,
        RunnablePassthrough(),
        RunnableBranch((lambda _: True, RunnableLambda(of_anything)), RunnableLambda(of_anything)),
        RunnableBranch((lambda _: True, RunnableLambda(of_text)), LCEL),
        RunnableBranch((lambda _: True, RunnableLambda(of_text)), RunnableLambda(of_anything)),
    ],
)
def test_a_function_without_types_gets_an_object_or_the_only_input(chain: Any) -> None:
    fields = chain_inputs(chain)
    assert fields.for_chain({"a": 1, "b": None}) == {"a": 1, "b": None}
    assert fields.for_chain({"input": 1, "b": None}) == {"input": 1, "b": None}
    assert fields.for_chain({}) == {}
    assert fields.for_chain({"input": [1]}) == [1]
    assert fields.for_chain("hi") == "hi"
    assert fields.text_field == "input"


def test_alternatives_of_one_value_take_what_any_of_them_takes() -> None:
    chain = RunnableBranch((lambda _: True, RunnableLambda(of_text)), MODEL)
    assert take(chain, {"input": "hi"}) == "hi"
    assert take(chain, {"input": ["hi"]}) == [HumanMessage("hi")]
    same = RunnableBranch((lambda _: True, MODEL), MODEL)
    assert take(same, {"input": ["hi"]}) == [HumanMessage("hi")]


# -- where the whole input is the value of a key -------------------------------------------


@pytest.mark.parametrize(
    "chain",
    [
        {"context": RunnableLambda(of_text), "question": RunnablePassthrough()} | BOTH,
        {"context": lambda text: text.upper(), "question": RunnablePassthrough()} | BOTH,
        {"question": RunnablePassthrough()} | PROMPT | MODEL,
        {"question": RunnablePassthrough().with_config(tags=["x"])} | PROMPT,
    ],
)
async def test_an_input_that_a_prompt_gets_whole_is_a_text(chain: Runnable[Any, Any]) -> None:
    assert take(chain, {"input": "hi"}) == take(chain, "hi") == "hi"
    assert refused(chain, {"question": "hi"}) == {"input", "question"}
    await chain.ainvoke("hi")


def test_an_object_that_a_prompt_gets_whole_is_known_by_the_keys_that_others_read() -> None:
    chain = {"question": RunnablePassthrough(), "context": itemgetter("topic")} | BOTH
    assert take(chain, {"topic": "t", "more": 1}) == {"topic": "t", "more": 1}
    assert refused(chain, {}) == {"topic"}


# -- what belongs to the app ---------------------------------------------------------------


def test_the_values_of_a_partial_prompt_are_never_the_clients() -> None:
    rules = ChatPromptTemplate.from_template("{rules} {context} {question}").partial(rules="none")
    chain = RunnablePassthrough.assign(context=look_up) | rules
    assert take(chain, ASKED) == ASKED
    assert refused(chain, {**ASKED, "rules": "all"}) == {"rules"}
    assert refused(rules, {"context": "", "question": "", "rules": "all"}) == {"rules"}


RULES = ChatPromptTemplate.from_template("{rules} {question}").partial(rules="none") | MODEL
QUESTION = ChatPromptTemplate.from_template("{question}") | MODEL


@pytest.mark.parametrize(
    "chain",
    [
        QUESTION.with_fallbacks([RunnablePassthrough.assign(context=look_up) | RULES]),
        RunnableLambda(look_up).with_fallbacks([RULES]),
        RunnableBranch((look_up, RULES), QUESTION),
        RunnableBranch((look_up, QUESTION), (RULES, QUESTION), QUESTION),
        RunnableBranch((tidy, RULES), (tidy, RunnableLambda(str)), RunnableLambda(len)),
        RunnableParallel(a=RunnableLambda(tidy), b=RunnableLambda(tidy).with_fallbacks([RULES])),
        RunnablePassthrough.assign(a=RunnableLambda(tidy).with_fallbacks([RULES])),
        (RunnablePassthrough.assign(context=look_up) | RULES).with_types(input_type=dict),
    ],
)
def test_the_values_of_a_partial_prompt_that_may_run_are_never_the_clients(
    chain: Runnable[Any, Any],
) -> None:
    assert take(chain, ASKED) == ASKED
    assert refused(chain, {**ASKED, "rules": "all"}) == {"rules"}


def test_nor_are_those_of_a_message_in_it() -> None:
    fixed = {"rules": "none"}
    part = PromptTemplate(template="{rules}", input_variables=[], partial_variables=fixed)
    rules = HumanMessagePromptTemplate(prompt=part)
    prompt = ChatPromptTemplate.from_messages([rules, ("human", "{question}")])
    chain = RunnablePassthrough.assign(context=look_up) | prompt | MODEL
    assert refused(chain, {**ASKED, "rules": "all"}) == {"rules"}


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")
async def test_a_stored_history_is_never_the_clients() -> None:
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{q}")])
    stored = InMemoryChatMessageHistory()
    chain = RunnableWithMessageHistory(
        RunnablePassthrough.assign(context=lambda given: given["user_id"]) | prompt | MODEL,
        lambda: stored,
        input_messages_key="q",
        history_messages_key="history",
        history_factory_config=[],
    )
    asked = {"q": "hi", "user_id": "7"}
    await chain.ainvoke(take(chain, asked))
    assert stored.messages[0] == HumanMessage("hi")
    assert refused(chain, {**asked, "history": []}) == {"history"}
    for step in (chain, chain.with_config(tags=["a"])):
        whole = step | StrOutputParser()
        assert take(whole, asked) == asked
        assert refused(whole, {**asked, "history": []}) == {"history"}
        assert refused(whole, {"user_id": "7"}) == {"q"}


async def test_the_exception_of_a_fallback_is_none_of_the_inputs() -> None:
    sorry = PromptTemplate.from_template("{question} {error}")
    chain = RunnableLambda(lambda _: 1 / 0).with_fallbacks([sorry], exception_key="error")
    assert take(chain, {"question": "q"}) == {"question": "q"}
    known = LCEL.with_fallbacks([sorry], exception_key="error")
    assert required(chain_inputs(known)) == {"question": True}
    await chain.ainvoke({"question": "q"})


def test_a_fallback_may_read_more_and_does_not_do_without() -> None:
    other = PromptTemplate.from_template("{question} {tone}")
    fields = chain_inputs(LCEL.with_fallbacks([other, RunnableLambda(lambda _: "sorry")]))
    assert required(fields) == {"question": True, "tone": False}
    assert fields.for_chain({"question": "q", "tone": ["any"]})


# -- alternatives --------------------------------------------------------------------------


def test_a_type_is_checked_if_every_branch_wants_it() -> None:
    def of_number(given: dict[str, int]) -> bool:
        return bool(given)

    history = ChatPromptTemplate([MessagesPlaceholder("history"), ("human", "{question}")])
    chain = RunnableBranch((of_number, history), PROMPT)
    fields = chain_inputs(chain)
    assert required(fields) == {"history": False, "question": True}
    assert fields.for_chain({"question": "q", "history": "hi"})["history"] == [HumanMessage("hi")]
    mustache = PromptTemplate.from_template("{{question}}", template_format="mustache")
    loose = RunnableBranch((of_number, mustache), PROMPT)
    assert take(loose, {"question": ["q"]}) == {"question": ["q"]}
    assert refused(RunnableBranch((of_number, PROMPT), PROMPT), {"question": ["q"]}) == {"question"}


def test_what_the_first_condition_reads_is_required() -> None:
    chain = RunnableBranch(
        (itemgetter("a"), PROMPT), (itemgetter("b"), PROMPT), RunnableLambda(of_asked)
    )
    assert required(chain_inputs(chain)) == {"question": True, "a": True, "b": False}


def test_the_configuration_of_an_inner_chain_counts_for_what_it_takes() -> None:
    prompt = PROMPT.configurable_alternatives(
        ConfigurableField("prompt"), other=PromptTemplate.from_template("{other}")
    )
    inner = (prompt | MODEL).with_config(configurable={"prompt": "other"})
    assert list(chain_inputs(inner | RunnableLambda(of_anything)).hints) == ["other"]


# -- templates -----------------------------------------------------------------------------

MUSTACHE = "{{#items}}{{name}}{{/items}} {{user.name}} {{flag}}"
JINJA = "{% for item in items %}{{ item.name }}{% endfor %} {{ user.name }} {{ flag }}"
VALUES = {"items": [{"name": "a"}], "user": {"name": "b"}, "flag": True}


REFUSES_ATTRIBUTES = version("langchain-core").startswith("1.1.")
"""Whether LangChain lets Jinja2 read no attribute, as the lowest version does."""


@pytest.mark.parametrize("template", [MUSTACHE, JINJA], ids=["mustache", "jinja2"])
@pytest.mark.parametrize("kind", [PromptTemplate, ChatPromptTemplate])
def test_a_template_that_is_more_than_text_takes_any_values(template: str, kind: Any) -> None:
    template_format = "mustache" if template is MUSTACHE else "jinja2"
    if template_format == "jinja2":
        pytest.importorskip("jinja2")
    prompt = kind.from_template(template, template_format=template_format)
    assert take(prompt | MODEL, VALUES) == VALUES
    if template is MUSTACHE or not REFUSES_ATTRIBUTES:
        assert prompt.invoke(VALUES).to_string().endswith("a b True")


@pytest.mark.parametrize("value", ["text", 3, 0.5, True, "3"])
@pytest.mark.parametrize("prompt", [PROMPT, ChatPromptTemplate.from_template("{question}")])
def test_an_f_string_takes_texts_numbers_and_booleans_as_they_are(value: Any, prompt: Any) -> None:
    [taken] = take(prompt, {"question": value}).values()
    assert (taken, type(taken)) == (value, type(value))


@pytest.mark.parametrize("value", [None, [], ["a"], {}, {"a": 1}])
def test_an_f_string_takes_no_value_that_it_would_write_as_python_does(value: Any) -> None:
    assert refused(PROMPT, {"question": value}) == {"question"}


def test_a_variable_that_templates_of_two_kinds_use_takes_any_value() -> None:
    mustache = HumanMessagePromptTemplate.from_template("{{b}}", template_format="mustache")
    prompt = ChatPromptTemplate([("human", "{a} {b}"), mustache])
    assert refused(prompt, {"a": [], "b": []}) == {"a"}


def test_a_prompt_that_selects_examples_by_the_whole_input_takes_others() -> None:
    example = PromptTemplate.from_template("{word}")
    selector = LengthBasedExampleSelector(examples=[{"word": "a"}], example_prompt=example)
    prompt = FewShotPromptTemplate(
        example_selector=selector,
        example_prompt=example,
        suffix="{question}",
        input_variables=["question"],
    )
    assert take(prompt, {"question": "q", "more": "m"}) == {"question": "q", "more": "m"}
    assert refused(prompt, {"more": "m"}) == {"question"}


# -- what LangChain composes itself --------------------------------------------------------


async def test_a_chain_that_combines_documents_takes_them_alone() -> None:
    chain = create_stuff_documents_chain(MODEL, BOTH)
    given = take(chain, {"context": [{"page_content": "a"}], "question": "q"})
    assert given == {"context": [Document("a")], "question": "q"}
    assert await chain.ainvoke(given) == "hi"
    assert refused(chain, {"docs": []}) == {"context", "question", "docs"}


async def test_a_retrieval_chain_takes_what_its_parts_read_and_returns_the_rest() -> None:
    retriever = RunnableLambda(lambda given: [Document(given["input"])])
    prompt = ChatPromptTemplate.from_template("{context} {input}")
    chain = create_retrieval_chain(retriever, create_stuff_documents_chain(MODEL, prompt))
    given = take(chain, {"input": "q", "id": 7})
    assert (await chain.ainvoke(given))["id"] == 7
    assert take(chain, "q") == {"input": "q"}


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")
def test_the_functions_that_format_the_steps_of_an_agent_read_nothing_of_the_clients() -> None:
    prompt = ChatPromptTemplate([("human", "{input}"), ("placeholder", "{agent_scratchpad}")])
    agent = create_tool_calling_agent(Calling(responses=["hi"]), [], prompt)
    executor = AgentExecutor(agent=agent, tools=[])
    steps = {"intermediate_steps": [], "agent_scratchpad": [], "more": 1}
    assert refused(executor, {"input": "hi", **steps}) == set(steps)


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")
def test_an_agent_of_functions_takes_other_inputs_but_not_its_steps() -> None:
    runnable = RunnablePassthrough.assign(steps=lambda given: given["intermediate_steps"]) | LCEL
    executor = AgentExecutor(agent=runnable, tools=[])
    assert take(executor, ASKED) == ASKED
    assert refused(executor, {**ASKED, "intermediate_steps": []}) == {"intermediate_steps"}


# -- classes that Pydantic does not know ---------------------------------------------------


class OldQuestion(OldModel):
    text: str


class Unknown:
    pass


def of_old_model(question: OldQuestion) -> str:
    return repr(question)


def of_unknown(question: Unknown) -> str:
    return repr(question)


@pytest.mark.filterwarnings("ignore")  # which would be an error, and so hide what Pydantic makes
@pytest.mark.parametrize("function", [of_old_model, of_unknown])
async def test_a_class_that_is_not_of_pydantic_takes_any_object(
    function: Callable[..., str],
) -> None:
    chain = RunnableLambda(function)
    assert await chain.ainvoke(take(chain, {"text": 1, "x": 2})) == "{'text': 1, 'x': 2}"


@pytest.mark.filterwarnings("ignore")
def test_a_declared_class_of_pydantic_1_takes_any_object() -> None:
    declared = RunnableLambda(of_anything).with_types(input_type=OldQuestion)
    assert take(declared, {"text": 1}) == {"text": 1}


class Talk(BaseModel):
    messages: list[AnyMessage]


@pytest.mark.parametrize("item", [1, "hi", {}, None, [], {"type": 7}, {"type": "pirate"}])
def test_what_is_no_message_is_refused_by_a_model_of_messages(item: Any) -> None:
    assert refused(MODEL, {"messages": [item]}, input_model=Talk) == {"messages.0"}
    root = RootModel[list[AnyMessage]]
    assert refused(MODEL, {"input": [item]}, input_model=root) == {"input.0"}


# -- through a route -----------------------------------------------------------------------


async def test_a_route_takes_what_its_chain_reads() -> None:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    answer = ChatPromptTemplate.from_template("{context}|{history}|{question}")
    chain = RunnablePassthrough.assign(
        context=look_up, history=lambda given: given.get("chat_history", "none")
    )
    lanarky.add_chain("/ask", chain | answer | (lambda prompt: prompt.to_string()))
    client = app.test_client()
    json = {"Accept": "application/json"}
    response = await client.post("/ask", json=ASKED, headers=json)
    assert (await response.get_json())["output"] == "Human: q 7|none|q"
    response = await client.post("/ask", json={**ASKED, "chat_history": "some"}, headers=json)
    assert (await response.get_json())["output"] == "Human: q 7|some|q"
    response = await client.post("/ask", json={"user_id": "7"}, headers=json)
    assert response.status_code == 400
    response = await client.get("/ask?question=q&user_id=7", headers=json)
    assert (await response.get_json())["output"] == "Human: q 7|none|q"
    async with client.websocket("/ask/ws") as connection:
        await connection.send_json(ASKED)
        assert "q 7|none|q" in (await connection.receive_json())["data"]["token"]
