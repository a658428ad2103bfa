"""Who is measured, and how each is installed and started."""

import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .clients import Target
from .servers import ROOT, Process

__all__ = [
    "BY_HAND",
    "BY_HAND_WITHOUT_PARSER",
    "CONTENDERS",
    "FASTAPI",
    "FLOOR",
    "LANARKY",
    "LANGSERVE",
    "LIMIT",
    "OURS",
    "OURS_WEBSOCKET",
    "Contender",
    "Environment",
    "NotInstallableError",
]

ENVIRONMENTS = ROOT / ".bench"


class NotInstallableError(Exception):
    """A contender cannot be installed here; the text says why."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, for what does not go with today's LangChain.

    Attributes:
        name: Of its folder.
        requirements: What is installed in it.
        below: The first version of Python that it does not work with.
    """

    name: str
    requirements: tuple[str, ...]
    below: tuple[int, int] = (4, 0)

    @cached_property
    def python(self) -> str:
        """The path of its interpreter; it is made if it is not there yet.

        Raises:
            NotInstallableError: It cannot be made.
        """
        if sys.version_info[:2] >= self.below:
            version = ".".join(map(str, self.below))
            raise NotInstallableError(f"needs a Python older than {version}")
        folder = ENVIRONMENTS / self.name
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            self._make(folder, python)
            (folder / "ready").touch()
        return str(python)

    def _make(self, folder: Path, python: Path) -> None:
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [*pip, *self.requirements],
        ):
            if subprocess.run(command, check=False, capture_output=True).returncode:
                raise NotInstallableError(f"pip could not install {', '.join(self.requirements)}")


_LANGSERVE = Environment("langserve", ("langserve[server]>=0.3.3", "uvicorn"))
_LANARKY = Environment(  # with what was there when it was written; it does not start with less
    "lanarky",
    (
        "lanarky==0.8.8",
        "langchain<0.3",
        "sse-starlette<2",
        "fastapi<0.116",
        "starlette<1",
        "uvicorn",
    ),
    below=(3, 12),
)


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        name: As people know it.
        command: The arguments of Python that start its server.
        path: Of its route.
        body: The inputs as JSON, with `%s` for the question.
        is_websocket: Whether it is a WebSocket that is asked.
        environment: Where it is installed, if it does not go with the others.
        seldom: Whether the workloads that take long are left out: it is like another one.
    """

    name: str
    command: tuple[str, ...]
    path: str = "/answer"
    body: str = '{"question": "%s"}'
    is_websocket: bool = False
    environment: Environment | None = None
    seldom: bool = False

    @property
    def is_served(self) -> bool:
        """Whether there is a server that can be asked."""
        return "{fd}" in " ".join(self.command)

    @property
    def _python(self) -> str:
        return sys.executable if self.environment is None else self.environment.python

    @property
    def full_command(self) -> list[str]:
        """What starts its process; installs it first.

        Raises:
            NotInstallableError: It cannot be installed here.
        """
        return [self._python, *self.command]

    def target(self, process: Process) -> Target:
        """Return where its process is asked."""
        return Target(process.port, self.path, self.body, self.is_websocket)

    def versions(self) -> str:
        """Return the versions of what there is in its environment."""
        code = (
            "from importlib.metadata import distributions as d; print(', '.join(sorted("
            f"f'{{x.name}} {{x.version}}' for x in d() if x.name.lower() in {PACKAGES!r})))"
        )
        command = [self._python, "-c", code]
        return subprocess.check_output(command, text=True).strip()


PACKAGES = (
    "quart",
    "hypercorn",
    "langchain-core",
    "fastapi",
    "starlette",
    "sse-starlette",
    "uvicorn",
    "uvloop",
    "langserve",
    "lanarky",
)


def _serve(app: str, loop: str = "asyncio") -> tuple[str, ...]:
    code = (
        "from hypercorn.config import Config; from quart_lanarky import serve; "
        f"config = Config(); config.worker_class = {loop!r}; "
        f"serve('benchmarks.apps.{app}:app', bind='fd://{{fd}}', config=config)"
    )
    return "-c", code


def _hypercorn(app: str) -> tuple[str, ...]:
    # Without workers: else the process that is measured has a child that works.
    return ("-m", "hypercorn", f"benchmarks.apps.{app}:app", "--bind", "fd://{fd}", "--workers=0")


def _uvicorn(app: str) -> tuple[str, ...]:
    # All on the same event loop, though uvicorn takes uvloop where it finds it.
    options = ("--fd", "{fd}", "--loop", "asyncio", "--log-level", "error")
    return ("-m", "uvicorn", f"benchmarks.apps.{app}:app", *options)


OURS = "ours, SSE, json"
OURS_WEBSOCKET = "ours, WebSocket, json"
BY_HAND = "Quart by hand"
BY_HAND_WITHOUT_PARSER = "Quart by hand, no parser"
FASTAPI = "FastAPI, sse-starlette"
LANGSERVE = "LangServe"
LANARKY = "lanarky"
FLOOR = "ready-made bytes"
LIMIT = "LangChain alone"

CONTENDERS = (
    Contender(OURS, _serve("ours"), "/json"),
    Contender("ours, SSE, text", _serve("ours"), "/text", seldom=True),
    Contender(OURS_WEBSOCKET, _serve("ours"), "/json/ws", is_websocket=True),
    Contender("ours, WebSocket, text", _serve("ours"), "/text/ws", is_websocket=True, seldom=True),
    Contender("ours, on uvloop", _serve("ours", "uvloop"), "/json"),
    Contender("ours, by the `hypercorn` command", _hypercorn("ours"), "/json"),
    Contender(BY_HAND, _hypercorn("quart_by_hand")),
    Contender(BY_HAND_WITHOUT_PARSER, _hypercorn("quart_by_hand"), "/messages"),
    Contender(f"{BY_HAND_WITHOUT_PARSER}, our `serve`", _serve("quart_by_hand"), "/messages"),
    Contender(FASTAPI, _uvicorn("fastapi_by_hand")),
    Contender(
        LANGSERVE,
        _uvicorn("langserve_app"),
        path="/answer/stream",
        body='{"input": {"question": "%s"}}',
        environment=_LANGSERVE,
    ),
    Contender(LANARKY, _uvicorn("lanarky_app"), environment=_LANARKY),
    Contender(FLOOR, _hypercorn("ready_made")),
    Contender(LIMIT, ("-m", "benchmarks.apps.limit")),
)
"""All of them. Ready-made bytes are the floor, and LangChain alone, without a server, the limit."""
