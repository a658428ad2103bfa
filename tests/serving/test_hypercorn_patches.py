"""Patches of Hypercorn: applied where they fit, left out with one line in the log where not."""

import inspect
import logging
from collections.abc import Iterator
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

import pytest
from hypercorn import protocol
from hypercorn.protocol import h2, h11, ws_stream

from quart_lanarky.serving.hypercorn_patches import patches
from quart_lanarky.serving.hypercorn_patches.patches import PATCHES, Patch, patch_hypercorn
from quart_lanarky.transports.hypercorn import hypercorn_version

LIMIT = 1000

each_patch = pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.replacement)


def replacement_of(patch: Patch) -> Any:
    return resolve_name(f"{patches.__package__}.{patch.replacement}")


def places() -> dict[tuple[str, str], Any]:
    """Return what is in all the places in which a patch puts a class."""
    return {
        (target, replacement_of(patch).__name__): replacement_of(patch)
        for patch in PATCHES
        for target in patch.targets
    }


def in_place() -> set[tuple[str, str]]:
    return {
        (target, name)
        for (target, name), kind in places().items()
        if getattr(import_module(target), name, None) is kind
    }


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Hypercorn as it was."""
    for (target, name), kind in places().items():
        monkeypatch.setattr(import_module(target), name, kind.__base__)
        monkeypatch.setattr(kind, "max_message_bytes", None, raising=False)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, patches.__name__):
        yield caplog


def test_all_patches_fit_the_installed_hypercorn(log: pytest.LogCaptureFixture) -> None:
    assert not in_place()
    patch_hypercorn(LIMIT)
    assert in_place() == places().keys()
    assert log.records == []
    assert ws_stream.PerMessageDeflate.max_message_bytes == LIMIT  # type: ignore[attr-defined]


def test_patching_once_more_changes_the_limit_alone(log: pytest.LogCaptureFixture) -> None:
    patch_hypercorn(LIMIT)
    patch_hypercorn(2 * LIMIT)
    assert in_place() == places().keys()
    assert log.records == []
    assert ws_stream.PerMessageDeflate.max_message_bytes == 2 * LIMIT  # type: ignore[attr-defined]


def check_that_only_some_are_left_out(log: pytest.LogCaptureFixture, *missing: Patch) -> str:
    patch_hypercorn(LIMIT)
    left_out = {
        (target, replacement_of(patch).__name__) for patch in missing for target in patch.targets
    }
    assert in_place() == places().keys() - left_out
    [record] = log.records
    assert record.levelno == logging.WARNING
    line = record.getMessage()
    what = ", ".join(patch.unbounded for patch in missing)
    start = f"Hypercorn {hypercorn_version()}: {what} cannot be bounded here; let a proxy do it ("
    assert line.startswith(start)
    return line.removeprefix(start).removesuffix(")")


@each_patch
def test_a_patch_whose_class_is_gone_is_left_out(
    patch: Patch, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = replacement_of(patch).__name__
    monkeypatch.delattr(import_module(patch.targets[-1]), name)
    missing = [p for p in PATCHES if p is patch or f"{patch.targets[-1]}:{name}" in p.uses]
    reason = check_that_only_some_are_left_out(log, *missing)
    assert f"has no attribute {name!r}" in reason


@each_patch
def test_a_patch_whose_class_is_another_is_left_out(
    patch: Patch, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = replacement_of(patch).__name__
    monkeypatch.setattr(f"{patch.targets[0]}.{name}", type("Another", (), {}))
    missing = [p for p in PATCHES if p is patch or f"{patch.targets[0]}:{name}" in p.uses]
    reason = check_that_only_some_are_left_out(log, *missing)
    assert reason.startswith(f"{patch.targets[0]}.{name} is another class")


def overrides(patch: Patch) -> list[str]:
    methods = vars(replacement_of(patch)).items()
    return [name for name, method in methods if getattr(method, "__override__", False)]


@each_patch
def test_each_patch_marks_what_it_overrides(patch: Patch) -> None:
    kind = replacement_of(patch)
    own = {name for name in vars(kind) if inspect.isfunction(getattr(kind.__base__, name, None))}
    assert own == set(overrides(patch)) != set()


@pytest.mark.parametrize("way", ["gone", "other parameters"])
@pytest.mark.parametrize(
    ("patch", "method"),
    [(patch, name) for patch in PATCHES for name in overrides(patch)],
    ids=lambda value: value if isinstance(value, str) else value.replacement,
)
def test_a_patch_is_left_out_when_what_it_overrides_is_gone_or_takes_something_else(
    patch: Patch,
    method: str,
    way: str,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = replacement_of(patch).__base__
    if way == "gone":
        monkeypatch.delattr(base, method)
    else:
        monkeypatch.setattr(base, method, lambda self, other, *another: None)
    reason = check_that_only_some_are_left_out(log, patch)
    assert (f"has no {method}" if way == "gone" else f"{method} has other parameters") in reason


@each_patch
def test_of_the_names_that_a_patch_uses_none_may_be_missing(patch: Patch) -> None:
    for place, names in patch.uses.items():
        patches._check_names(resolve_name(place), names)
        with pytest.raises(LookupError, match="has no nothing"):
            patches._check_names(resolve_name(place), (*names, "nothing"))


def test_what_patches_use_and_nobody_defines_is_missed(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Buffer:
        """What a new version could have."""

        def extend(self, part: Any) -> None: ...
        def clear(self) -> None: ...

    monkeypatch.setattr(ws_stream, "WebsocketBuffer", Buffer)
    reason = check_that_only_some_are_left_out(log, PATCHES[-1])
    assert reason.endswith("Buffer has no to_message")


def test_a_hypercorn_without_any_of_it_is_served_with_one_line(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (protocol, h2, h11, ws_stream):
        for name in ("StreamBuffer", "H2Protocol", "H11Protocol", "PerMessageDeflate", "WSStream"):
            monkeypatch.delattr(module, name, raising=False)
    reasons = check_that_only_some_are_left_out(log, *PATCHES)
    assert reasons.count(";") == len(PATCHES) - 1
