"""Commands as a reader types them, and their options."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.servers import ROOT

OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


OWN_COMMANDS = [[], ["run"], ["lanarky", "openapi"]]


def call(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader does, in the folder with the files of the page."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@cache
def options_of(command: str) -> set[str]:
    """Return the options of a command, and those of its own commands."""
    if command == "hypercorn":
        return set(OPTION.findall(call([command, "--help"], ROOT).stdout))
    quart = [command, "--app", "examples.chat"]
    helps = [call([*quart, *own, "--help"], ROOT).stdout for own in OWN_COMMANDS]
    return {option for text in helps for option in OPTION.findall(text)}
