"""What the providers say in the tests: a script by its name, which is a part of the URL."""

import json

from tests.conformance.models import SECRET
from tests.conformance.rows import ANSWER
from tests.providers.script import (
    Call,
    Cited,
    Failure,
    Image,
    Refusal,
    Reply,
    Script,
    Search,
    Text,
    Thinking,
)

CALLS = (Call("weather", {"city": "Rome"}), Call("weather", {"city": "Oslo"}))
PLAN = {"title": "Bells", "steps": ["cast", "hang", "ring"]}
DECLINED = "I'm sorry, but I can't help with that; there are many other things that I can do."
THOUGHTS = Thinking(f"{SECRET}: the user wants two things")
BEGUN = f"{ANSWER[:40]}"
RETRY_AFTER = 7

CITED = (Cited("日本語 is cited. ", "one"), Cited("So is 🦜.", "two"))
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="

_ANSWERS = Reply((Text(ANSWER),))

SCENARIOS: dict[str, Script] = {
    "text": (_ANSWERS, _ANSWERS),
    "thinking": (Reply((THOUGHTS, Text(ANSWER))), Reply((THOUGHTS, Text(ANSWER)))),
    "search": (
        Reply((Text(ANSWER[:9]), Search(f"{SECRET} query", f"{SECRET} result"), Text(ANSWER[9:]))),
    ),
    "citing": (
        Reply((Text(ANSWER[:40]), *CITED, Text(ANSWER[-40:]))),
        Reply((Text(ANSWER[:40]), *CITED, Text(ANSWER[-40:]))),
    ),
    "drawing": (Reply((Image(PNG), Text(ANSWER))), Reply((Image(PNG), Text(ANSWER)))),
    "two choices": (Reply((Text(ANSWER),), other=f"{SECRET}: a second choice"),),
    "calls": (
        Reply((THOUGHTS, Text(f"{SECRET}: I look it up."), *CALLS)),
        Reply((THOUGHTS, Text(ANSWER))),
        Reply((Text(ANSWER),)),
    ),
    "calls in turn": (Reply((CALLS[0],)), Reply((CALLS[1],)), _ANSWERS),
    "plan by a call": (Reply((Text(SECRET), Call("Plan", PLAN))),),
    "plan by a text": (Reply((Text(json.dumps(PLAN)),)),),
    # -- it declines
    "refusal": (Reply((Refusal(DECLINED),)),),
    "refusal after a call": (Reply((CALLS[0],)), Reply((Refusal(DECLINED),))),
    "blocked": (Reply(ending="blocked"),),
    "blocked late": (Reply((Text(BEGUN),), ending="blocked"),),
    "blocked after a call": (Reply((CALLS[0],)), Reply(ending="blocked")),
    # -- it fails
    "rate limit": (Failure("rate limit", RETRY_AFTER),),
    "overload": (Failure("overload"),),
    "too long": (Failure("too long"),),
    "our key": (Failure("our key"),),
    "broken": (Failure("broken"),),
    "rate limit after a call": (Reply((CALLS[0],)), Failure("rate limit", RETRY_AFTER)),
    "overload late": (Reply((Text(BEGUN),), ending=Failure("overload")),),
    "overload at first": (Reply((Text(BEGUN),), ending=Failure("overload")), _ANSWERS),
    "rate limit at first": (Failure("rate limit", RETRY_AFTER), _ANSWERS),
    # -- its connection does
    "no finish reason": (Reply((Text(BEGUN),), ending="no finish reason"),),
    "cut": (Reply((Text(BEGUN),), ending="cut"),),
    "cut at once": (Reply(ending="cut"),),
    "hang": (Reply((Text(BEGUN),), ending="hang"),),
    "endless": (Reply((Text(BEGUN),), ending="endless"),),
    "hang at once": (Reply(ending="hang"),),
}
SCENARIOS = {name.replace(" ", "-"): script for name, script in SCENARIOS.items()}
