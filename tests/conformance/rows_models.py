"""Runnables around one model: prompts, parsers, wrappers."""

import json
from typing import Any

from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.output_parsers import (
    CommaSeparatedListOutputParser,
    JsonOutputParser,
    PydanticOutputParser,
    StrOutputParser,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables import ConfigurableField, Runnable, RunnableWithMessageHistory
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.conformance.models import SECRET, Kit, Reply, calls, everything, in_turn
from tests.conformance.rows import ANSWER, Group

group = Group("models")

PROMPT = ChatPromptTemplate.from_template("Tell me about {topic}.")
TEXT_PROMPT = PromptTemplate.from_template("Tell me about {topic}.")
INPUTS = {"topic": "two things"}
PADDED = "\n\n  An answer, in the middle of white space. \n "

PLAN = {"city": "Zürich", "days": 3, "sights": ["See", "Großmünster"]}
PLAN_JSON = json.dumps(PLAN)
FENCED_PLAN = f"```json\n{json.dumps(PLAN, indent=2, ensure_ascii=False)}\n```"


class Plan(BaseModel):
    """Where to go."""

    city: str
    days: int
    sights: list[str]


class Topic(TypedDict):
    topic: str


# -- a model, alone and behind a prompt ----------------------------------------------------


@group.row(inputs="Two things?", answer=ANSWER)
def chat_model(kit: Kit) -> Runnable[Any, Any]:
    return kit.chat(ANSWER)


@group.row(inputs=[{"role": "user", "content": "Two things?"}], answer=ANSWER)
def chat_model_of_messages(kit: Kit) -> Runnable[Any, Any]:
    return kit.chat(ANSWER)


@group.row(inputs="Two things?", answer=ANSWER, whole_with_a_cache=True)
def llm(kit: Kit) -> Runnable[Any, Any]:
    return kit.llm(ANSWER)


@group.row(inputs=INPUTS, answer=ANSWER)
def prompt_model(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(ANSWER)


@group.row(inputs={"topic": "Ada's loom"}, answer="Human: Tell me about Ada's loom.")
def model_that_repeats_its_prompt(kit: Kit) -> Runnable[Any, Any]:
    """Here the inputs must have come through."""
    return TEXT_PROMPT | kit.chat(lambda messages: "Human: " + everything(messages))


@group.row(inputs=INPUTS, answer=ANSWER, whole_with_a_cache=True)
def prompt_llm(kit: Kit) -> Runnable[Any, Any]:
    return TEXT_PROMPT | kit.llm(ANSWER)


@group.row(inputs=INPUTS, answer=ANSWER)
def prompt_model_parser(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(ANSWER) | StrOutputParser()


@group.row(inputs=INPUTS, answer=ANSWER, whole_with_a_cache=True)
def prompt_llm_parser(kit: Kit) -> Runnable[Any, Any]:
    return TEXT_PROMPT | kit.llm(ANSWER) | StrOutputParser()


@group.row(inputs=INPUTS, answer=ANSWER)
def model_that_reports_its_tokens_itself(kit: Kit) -> Runnable[Any, Any]:
    """LangChain reports them as well, so each comes twice."""
    return PROMPT | kit.chat(ANSWER, reports=True)


@group.row(inputs=INPUTS, answer=ANSWER, streams="any")
def llm_that_does_not_report_its_tokens(kit: Kit) -> Runnable[Any, Any]:
    return TEXT_PROMPT | kit.llm(ANSWER, reports=False)


@group.row(inputs=INPUTS, answer=PADDED)
def white_space_around_the_answer(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(PADDED)


@group.row(inputs=INPUTS, answer="", streams="any")
def model_that_says_nothing(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat("")


@group.row(inputs=INPUTS, answer=ANSWER)
def model_that_reasons(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(lambda _: Reply(ANSWER, thought=f"Hm, {SECRET}, but which two?"))


# -- outputs that a parser makes of the text -----------------------------------------------


@group.row(inputs=INPUTS, answer=PLAN_JSON, structured=True, streams="never")
def json_parser(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(FENCED_PLAN) | JsonOutputParser()


@group.row(inputs=INPUTS, answer=PLAN_JSON, structured=True, streams="never")
def pydantic_parser(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(FENCED_PLAN) | PydanticOutputParser(pydantic_object=Plan)


@group.row(inputs=INPUTS, answer='["red", "green", "blue"]', structured=True, streams="never")
def list_parser(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat("red, green, blue") | CommaSeparatedListOutputParser()


@group.row(inputs=INPUTS, answer=PLAN_JSON, structured=True, streams="never")
def structured_output(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(lambda _: calls("Plan", f"{SECRET}: a plan is wanted", **PLAN))
    return PROMPT | model.with_structured_output(Plan)


@group.row(inputs=INPUTS, answer=PLAN_JSON, structured=True, streams="never")
def structured_output_as_a_dict(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(lambda _: calls("Plan", **PLAN))
    return PROMPT | model.with_structured_output(Plan.model_json_schema())


@group.row(
    inputs=INPUTS,
    answer=PLAN_JSON,
    options={"output_key": "parsed"},
    structured=True,
    streams="never",
)
def structured_output_beside_the_raw_message(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(lambda _: calls("Plan", SECRET, **PLAN))
    return PROMPT | model.with_structured_output(Plan, include_raw=True)


# -- wrappers ------------------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER)
def bind(kit: Kit) -> Runnable[Any, Any]:
    return (PROMPT | kit.chat(ANSWER).bind(stop=["never said"])).bind()


@group.row(inputs=INPUTS, answer=ANSWER)
def with_config(kit: Kit) -> Runnable[Any, Any]:
    """Names of runs and tags decide nothing."""
    model = kit.chat(ANSWER).with_config(run_name="StrOutputParser", tags=["inner"])
    chain = PROMPT | model | StrOutputParser().with_config(run_name="LLMChain")
    return chain.with_config(run_name="RunnableLambda", tags=["mine"])


@group.row(inputs=INPUTS, answer=ANSWER)
def with_types(kit: Kit) -> Runnable[Any, Any]:
    return (PROMPT | kit.chat(ANSWER)).with_types(input_type=Topic)


@group.row(inputs=INPUTS, answer=ANSWER)
def with_listeners(kit: Kit) -> Runnable[Any, Any]:
    return (PROMPT | kit.chat(ANSWER)).with_listeners(on_start=lambda _: None)


@group.row(inputs=INPUTS, answer=ANSWER)
def wrappers_of_wrappers(kit: Kit) -> Runnable[Any, Any]:
    chain = (PROMPT | kit.chat(ANSWER)).with_config(run_name="one").with_types(input_type=Topic)
    return chain.with_retry(stop_after_attempt=2).with_listeners().bind()


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def with_retry(kit: Kit) -> Runnable[Any, Any]:
    """The first attempt fails after its first token."""
    broken = Reply(f"{SECRET} that nobody should keep", fails=True)
    chain = PROMPT | kit.chat(in_turn(broken, ANSWER))
    return chain.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def with_retry_of_the_model_inside(kit: Kit) -> Runnable[Any, Any]:
    broken = Reply(f"{SECRET} that nobody should keep", fails=True)
    model = kit.chat(in_turn(broken, ANSWER))
    retrying = model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    return PROMPT | retrying | StrOutputParser()


@group.row(inputs=INPUTS, answer=ANSWER)
def with_retry_that_is_not_needed(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(ANSWER).with_retry() | StrOutputParser()


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def fallback_after_the_first_token(kit: Kit) -> Runnable[Any, Any]:
    broken = kit.chat(lambda _: Reply(f"{SECRET}: I was saying", fails=True), "broken")
    return (PROMPT | broken).with_fallbacks([PROMPT | kit.chat(ANSWER)])


@group.row(inputs=INPUTS, answer=ANSWER, retracts="may")
def fallback_after_the_first_token_inside_a_sequence(kit: Kit) -> Runnable[Any, Any]:
    broken = kit.chat(lambda _: Reply(f"{SECRET}: I was saying", fails=True), "broken")
    return PROMPT | broken.with_fallbacks([kit.chat(ANSWER)]) | StrOutputParser()


@group.row(inputs=INPUTS, answer=ANSWER)
def fallback_before_the_first_token(kit: Kit) -> Runnable[Any, Any]:
    broken = kit.chat(lambda _: Reply(fails=True), "broken")
    return PROMPT | broken.with_fallbacks([kit.chat(ANSWER)])


@group.row(inputs=INPUTS, answer=ANSWER)
def fallback_that_is_not_needed(kit: Kit) -> Runnable[Any, Any]:
    return PROMPT | kit.chat(ANSWER).with_fallbacks([kit.chat(SECRET, "spare")])


@group.row(
    inputs=INPUTS,
    answer="Bells. (in brief)",
    options={"config": {"configurable": {"manner": " (in brief)"}}},
)
def configurable_fields(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat("Bells.").configurable_fields(ending=ConfigurableField(id="manner"))
    return PROMPT | model


@group.row(inputs=INPUTS, answer=ANSWER, options={"config": {"configurable": {"model": "large"}}})
def configurable_alternatives(kit: Kit) -> Runnable[Any, Any]:
    small, large = kit.chat(SECRET, "small"), kit.chat(ANSWER, "large")
    choice = small.configurable_alternatives(
        ConfigurableField(id="model"), default_key="small", large=large
    )
    return PROMPT | choice | StrOutputParser()


@group.row(
    inputs={"question": "And again?"},
    answer="I read:\nAnd again?",
    options={"config": {"configurable": {"session_id": "ada"}}},
    then=({"question": "Once more?"}, "I read:\nAnd again?\nI read:\nAnd again?\nOnce more?"),
)
def message_history(kit: Kit) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_messages(
        [MessagesPlaceholder("past"), ("human", "{question}")]
    )
    past = InMemoryChatMessageHistory()
    return RunnableWithMessageHistory(
        prompt | kit.chat(lambda messages: "I read:\n" + everything(messages)),
        lambda session_id: past,
        input_messages_key="question",
        history_messages_key="past",
    )


@group.row(
    inputs=[INPUTS, {"topic": "one thing"}],
    answer=json.dumps(["About Tell me about two things.", "About Tell me about one thing."]),
    structured=True,
    streams="never",
)
def map_over_a_list(kit: Kit) -> Runnable[Any, Any]:
    """The answers are written side by side, so no token of one may go out alone."""
    model = kit.chat(lambda messages: "About " + everything(messages))
    return (PROMPT | model | StrOutputParser()).map()
