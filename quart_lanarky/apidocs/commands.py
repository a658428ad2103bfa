"""The commands `quart lanarky`: print the API specs and list the chain routes of an app."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ..protocols.base import RouteDescription
from ..protocols.json_schema import Components
from .specs import ApiSpecs

__all__ = ["commands_for"]

_HEADINGS = ("PATH", "TRANSPORT", "MODE", "HANDLERS", "INPUTS")

_OUTPUT = click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file."
)
_STARTUP = click.option(
    "--startup",
    is_flag=True,
    help="First run what the app does before serving, for chains that need it.",
)


def commands_for(specs: ApiSpecs) -> click.Group:
    """Return the command group `lanarky` of an app, given its API specs."""
    group = click.Group("lanarky", help="API specs and routes of the chains of this app.")

    @group.command(help="Print the OpenAPI spec.")
    @_OUTPUT
    @_STARTUP
    def openapi(output: Path | None, *, startup: bool) -> None:
        specs.inspect_chains_of_command(with_startup=startup)
        _write(specs.openapi(), output)

    @group.command(help="Print the AsyncAPI spec of the WebSocket routes.")
    @_OUTPUT
    @_STARTUP
    def asyncapi(output: Path | None, *, startup: bool) -> None:
        specs.inspect_chains_of_command(with_startup=startup)
        _write(specs.asyncapi(), output)

    @group.command(help="List the chain routes.")
    @_STARTUP
    def routes(*, startup: bool) -> None:
        specs.inspect_chains_of_command(with_startup=startup)
        for line in [*_table([_HEADINGS, *_rows(specs)]), *_reasons(specs)]:
            click.echo(line)

    return group


def _write(spec: dict[str, Any], output: Path | None) -> None:
    text = json.dumps(spec, indent=2)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


def _rows(specs: ApiSpecs) -> Iterator[Sequence[str]]:
    for rule, (description, protocol) in specs.described_routes():
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        yield (
            rule.rule,
            "WebSocket" if rule.websocket else ", ".join(methods),
            protocol.options.get("mode", ""),
            ", ".join(description.handlers) or "as fit the chain",
            _inputs(description),
        )


def _inputs(description: RouteDescription) -> str:
    """Return the names of the inputs, optional ones in brackets."""
    schema = description.input_schema(Components())
    required = schema.get("required", ())
    names = [n if n in required else f"[{n}]" for n in schema.get("properties", {})]
    return ", ".join([*names, "..."] if description.takes_other_inputs else names)


def _reasons(specs: ApiSpecs) -> Iterator[str]:
    """Say of each route why not all of its inputs are known, and what to do about it."""
    for rule, (description, _) in specs.described_routes():
        if description.unknown_inputs:
            yield f"... of {rule.rule}: {description.unknown_inputs}"


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
