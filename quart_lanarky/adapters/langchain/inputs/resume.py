"""The answer of a client to what a graph waits for: one value, or a value for each id."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry

from ....errors import InputError, InterruptNotOpenError
from ....events import Interrupt
from .client_data import check_client_data
from .fields import input_error
from .policy import InputPolicy

__all__ = ["RESUME", "answers_by_id", "resume_value"]

logger = logging.getLogger(__name__)

_NO_OTHER_SCHEMAS: Final[Registry[Any]] = Registry()
"""No schema is fetched from elsewhere."""

_ERRORS_TO_COMPARE: Final = 20
"""How many errors the clearest is looked for among; the client decides how many there are."""


def _ignore(*_: Any) -> None:
    """Check nothing."""


# What may cost more than the size of the answer: LangGraph checks these itself, if they matter.
_Validator: Final = extend(
    Draft202012Validator,
    dict.fromkeys(("pattern", "patternProperties", "uniqueItems"), _ignore),
)

RESUME: Final = "resume"
"""The field of the inputs that has the answer."""

_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What LangGraph's ids look like: of interrupts, and of tasks."""


def resume_value(message: Mapping[str, Any], policy: InputPolicy) -> Any:
    """Return the answer in a client's message.

    Args:
        message: What the client sent; it has the field `resume`.
        policy: What the route accepts.

    Raises:
        InputError: There are inputs besides it, or the route does not accept what is in it.
    """
    if others := message.keys() - {RESUME}:
        raise input_error(dict.fromkeys(sorted(others), "send either inputs or `resume`"))
    if refused := check_client_data(message, policy, (RESUME,)):
        raise input_error(refused)
    return message[RESUME]


def answers_by_id(answer: Any, waiting: Sequence[Interrupt]) -> dict[str, Any]:
    """Return the answer to each of the interrupts, by their ids.

    All are answered at once: of a graph that went on with some of the answers, a client that
    repeats them cannot know which were taken.

    Args:
        answer: The answer to the only interrupt, or an object with the answer to each by its id.
        waiting: The interrupts that the thread waits for.

    Raises:
        InterruptNotOpenError: It waits for none, or the answer is to other ones.
        InputError: An answer is missing, or does not fit the schema of its interrupt.
    """
    if not waiting:
        raise InterruptNotOpenError("this thread waits for no answer: there is nothing to resume")
    answers = _by_id(answer, waiting)
    if missing := [each.id for each in waiting if each.id not in answers]:
        raise input_error({f"{RESUME}.{id_}": "this interrupt is not answered" for id_ in missing})
    wrong: dict[str, str] = {}
    for interrupt in waiting:
        place = f"{RESUME}.{interrupt.id}" if answers is answer else RESUME
        wrong |= _problem(interrupt, answers[interrupt.id], place)
    if wrong:
        raise InputError("the answer does not fit", wrong)
    return answers


def _by_id(answer: Any, waiting: Sequence[Interrupt]) -> dict[str, Any]:
    ids = {interrupt.id for interrupt in waiting}
    if isinstance(answer, dict) and answer and _names_ids(answer, ids):
        if stale := answer.keys() - ids:
            raise InterruptNotOpenError(
                f"this thread does not wait for an answer to {min(stale)[:40]}: it may have "
                "been answered already"
            )
        return answer
    if len(waiting) > 1:
        raise input_error(
            {RESUME: f"{len(waiting)} interrupts wait: send an object with the answer to each id"}
        )
    return {waiting[0].id: answer}


def _names_ids(answer: Mapping[str, Any], ids: set[str]) -> bool:
    """Tell whether an object has answers by ids, be they old ones, and is not itself an answer."""
    return not ids.isdisjoint(answer) or all(map(_ID.fullmatch, answer))


def _problem(interrupt: Interrupt, answer: Any, place: str) -> dict[str, str]:
    """Return what is wrong with an answer, by the path of the field; nothing if it fits."""
    if interrupt.response_schema is None:
        return {}
    validator = _Validator(interrupt.response_schema, registry=_NO_OTHER_SCHEMAS)
    try:
        error = best_match(islice(validator.iter_errors(answer), _ERRORS_TO_COMPARE))
    except RecursionError:
        return {place: "it is nested too deeply"}
    except Exception:  # whatever is wrong with it, it is the app's and not the client's
        logger.exception("the response_schema of an interrupt cannot be used: it is not checked")
        return {}
    if error is None:
        return {}
    return {".".join(map(str, [place, *error.absolute_path])): error.message}
