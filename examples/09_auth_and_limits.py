"""A login and limits on both transports: hypercorn examples.09_auth_and_limits:app

Sign in at `/login` as `ada` with `lovelace`, which leads to `/playground`, or paste:

    curl -c cookies http://127.0.0.1:8000/login -d name=ada -d password=lovelace

    curl -N -b cookies http://127.0.0.1:8000/chat -H 'Content-Type: application/json' \
        -d '{"question": "Who may ask here?"}'

The route is the uppermost decorator and `stream_chain` the last: no chain is made for those who are
refused in between. `rate_limit` only marks the view. The limiter counts before any view is called,
by user, or by address where nobody is signed in. Replace `PASSWORDS` by your database.
"""

import asyncio
import os
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from quart import Quart, has_websocket_context, redirect, request
from quart.typing import ResponseReturnValue
from quart_auth import AuthUser, QuartAuth, current_user, login_required, login_user
from quart_rate_limiter import RateLimiter, rate_limit
from werkzeug.exceptions import HTTPException, TooManyRequests, Unauthorized
from werkzeug.security import check_password_hash, generate_password_hash

from examples.local_model import chat_model
from quart_lanarky import LanarkyExtension, ServerBusyError, stream_chain

QUESTIONS, PERIOD = 5, timedelta(minutes=1)

PASSWORDS = {"ada": generate_password_hash("lovelace"), "alan": generate_password_hash("turing")}
NOBODYS_PASSWORD = generate_password_hash(secrets.token_hex())

LOGIN_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in</title>
<form method="post">
  <label>Name <input name="name" autocomplete="username" required></label>
  <label>Password
    <input name="password" type="password" autocomplete="current-password" required></label>
  <button>Sign in</button>
</form>
"""

PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Context: Whoever has signed in may ask here."), ("human", "{question}")]
)


async def asker() -> str:
    """Say whose requests are counted together: a user's, or those from an address.

    By default it is the address in `X-Forwarded-For`, which clients can make up. Behind a proxy,
    Hypercorn's `ProxyFixMiddleware` puts the real one into `remote_addr`.
    """
    return f"user {current_user.auth_id}" if current_user.auth_id else f"at {request.remote_addr}"


app = Quart(__name__)
# It signs the cookie. All workers need the same one, and it has to outlive them.
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()
app.config["QUART_AUTH_COOKIE_SECURE"] = False  # True where there is HTTPS
QuartAuth(app)
limiter = RateLimiter(app, key_function=asker)
LanarkyExtension(app, playground="/playground")


@app.get("/login")
async def login_page() -> ResponseReturnValue:
    """Show the form."""
    return LOGIN_PAGE


@app.post("/login")
@rate_limit(10, timedelta(minutes=1))  # or somebody tries them all
async def login() -> ResponseReturnValue:
    """Check the password, and give the browser a cookie."""
    form = await request.form
    # A wrong name takes as long as a wrong password, so that nobody can tell which it was.
    stored = PASSWORDS.get(form.get("name", ""), NOBODYS_PASSWORD)
    if not await asyncio.to_thread(check_password_hash, stored, form.get("password", "")):
        raise Unauthorized("the name or the password is wrong")
    login_user(AuthUser(form["name"]))
    return redirect("/playground")


@app.post("/chat")
@app.websocket("/chat/ws")
@login_required
@rate_limit(QUESTIONS, PERIOD)
@stream_chain
def chat() -> Runnable[Any, Any]:
    """Answer a question of somebody who is signed in."""
    answer = PROMPT | chat_model()
    # The limiter sees requests alone. On a WebSocket it is the turns that have to be counted.
    return turn_counter(current_user.auth_id) | answer if has_websocket_context() else answer


def turn_counter(user: str | None) -> Runnable[Any, Any]:
    """Return a first step that counts the turns of a user, in the limiter's store, by its rule."""
    key, interval = f"turns of {user}", PERIOD / QUESTIONS

    async def count(_inputs: Any) -> None:
        now = datetime.now(UTC)
        due = max(await limiter.store.get(key, now), now)
        if due - now > PERIOD - interval:
            raise ServerBusyError(f"no more than {QUESTIONS} questions a minute")
        await limiter.store.set(key, due + interval)

    return RunnablePassthrough(count)


@app.errorhandler(Unauthorized)
@app.errorhandler(TooManyRequests)
async def refuse(error: HTTPException) -> ResponseReturnValue:
    """Refuse with JSON, as the chain routes do; otherwise it would be a page."""
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return {"status_code": error.code, "detail": error.description}, error.code or 500, headers
