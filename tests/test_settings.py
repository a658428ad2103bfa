"""Settings: every one has a default, and an invalid one is reported at start-up."""

from dataclasses import asdict
from math import inf, nan
from typing import Any

import pytest
from quart import Quart

from quart_lanarky import ConfigurationError, LanarkyExtension
from quart_lanarky.settings import SETTING_KEYS, Settings, current_settings

DEFAULTS = {
    "default_mode": "json",
    "flush_interval": 0.01,
    "buffer_events": 256,
    "heartbeat": 15.0,
    "run_timeout": 600.0,
    "max_runs": 1000,
    "max_message_bytes": 2**20,
    "max_messages": 1000,
    "max_queued_turns": 8,
    "max_sessions": 1000,
    "idle_timeout": 600.0,
    "allowed_origins": (),
    "allowed_hosts": (),
    "file_urls": (),
    "drain_timeout": 8.0,
    "openapi_version": "3.2.0",
}
LEAST = {
    "flush_interval": 0,
    "buffer_events": 1,
    "heartbeat": 0.01,
    "run_timeout": 0.01,
    "max_runs": 1,
    "max_message_bytes": 1,
    "max_messages": 1,
    "max_queued_turns": 0,
    "max_sessions": 1,
    "idle_timeout": 0.01,
    "drain_timeout": 0,
}
UNBOUNDED = {
    *("heartbeat", "run_timeout", "idle_timeout"),
    *("max_runs", "max_messages", "max_sessions"),
}
"""Those that may be None."""


def test_every_setting_has_a_default() -> None:
    assert asdict(Settings()) == DEFAULTS
    assert Settings.from_config({}) == Settings()


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_setting_is_read_from_the_key_of_its_name(name: str) -> None:
    value: dict[str, Any] = {"default_mode": "text", "openapi_version": "3.1.0"}
    value |= {"allowed_origins": ("*",), "allowed_hosts": ("*",), "file_urls": ("s3://bucket",)}
    config = {f"QUART_LANARKY_{name.upper()}": value.get(name, 7)}
    assert asdict(Settings.from_config(config)) == DEFAULTS | {name: value.get(name, 7)}
    assert list(config) == [SETTING_KEYS[name]]


def test_a_setting_may_be_changed_while_the_app_runs() -> None:
    """Settings are kept for equal values; a list may be changed in place."""
    config: dict[str, Any] = {"QUART_LANARKY_ALLOWED_ORIGINS": ["https://one.example"]}
    assert Settings.from_config(config).allowed_origins == ("https://one.example",)
    config["QUART_LANARKY_ALLOWED_ORIGINS"].append("https://two.example")
    assert "https://two.example" in Settings.from_config(config).allowed_origins
    config["QUART_LANARKY_ALLOWED_ORIGINS"].append("no origin at all /")
    with pytest.raises(ConfigurationError, match="no origin at all"):
        Settings.from_config(config)


@pytest.mark.parametrize("name", LEAST)
def test_the_minimum_of_a_number_is_allowed(name: str) -> None:
    least = LEAST[name]
    assert getattr(Settings(**{name: least}), name) == least
    message = f"^QUART_LANARKY_{name.upper()} must be at least {least}, not "
    for wrong in (least - 0.001, -inf, nan, [7]):
        with pytest.raises(ConfigurationError, match=message):
            Settings(**{name: wrong})
    with pytest.raises(ConfigurationError, match="must be a number, not the text '7'"):
        Settings(**{name: "7"})


@pytest.mark.parametrize("name", LEAST)
def test_only_optional_limits_can_be_none(name: str) -> None:
    if name in UNBOUNDED:
        assert getattr(Settings(**{name: None}), name) is None
    else:
        with pytest.raises(ConfigurationError, match=f"{name.upper()} must be at least .* None"):
            Settings(**{name: None})


@pytest.mark.parametrize("mode", ["xml", "", None])
def test_an_unknown_mode_is_refused(mode: Any) -> None:
    with pytest.raises(ConfigurationError, match="mode must be 'text' or 'json'"):
        Settings(default_mode=mode)


@pytest.mark.parametrize("version", ["3.0.3", "3.2", 3.2, None])
def test_an_unknown_openapi_version_is_refused(version: Any) -> None:
    expected = r"QUART_LANARKY_OPENAPI_VERSION must be one of 3\.2\.0, 3\.1\.0, not "
    with pytest.raises(ConfigurationError, match=expected):
        Settings(openapi_version=version)


@pytest.mark.parametrize(
    "origins",
    [[], ["https://a.example", "http://localhost:3000"], ("*",), ["null"], ["app-x://tauri"]],
)
def test_origins_are_a_list(origins: Any) -> None:
    assert Settings(allowed_origins=origins).allowed_origins == origins


@pytest.mark.parametrize(
    "origins",
    [
        *("https://a.example", "*", "", None, 7, [None], [7], [""], ["a.example"], ["*."]),
        *(["https://a.example/"], ["https://"], ["https://a.example", "//b"], ["https://a b"]),
    ],
)
def test_an_invalid_list_of_origins_is_refused(origins: Any) -> None:
    with pytest.raises(ConfigurationError, match="ALLOWED_ORIGINS must be a list of origins such"):
        Settings(allowed_origins=origins)


@pytest.mark.parametrize(
    "hosts",
    [[], ["a.example", "*.A.example"], ("*",), ["localhost"], ["127.0.0.1", "[::1]"], ["a_b-c.d"]],
)
def test_hosts_are_a_list(hosts: Any) -> None:
    assert Settings(allowed_hosts=hosts).allowed_hosts == hosts


@pytest.mark.parametrize(
    "hosts",
    [
        *("a.example", "*", "", None, 7, [None], [7], [""], ["*."], ["*a.example"], ["a.*"]),
        *(["a.example:80"], ["https://a.example"], ["a.example/"], ["a.example", "a b"], [".a"]),
    ],
)
def test_an_invalid_list_of_hosts_is_refused(hosts: Any) -> None:
    with pytest.raises(ConfigurationError, match="ALLOWED_HOSTS must be a list of hosts such as"):
        Settings(allowed_hosts=hosts)


@pytest.mark.parametrize(
    "places",
    [[], ("https://files.example.org", "http://[::1]:9000"), ["s3://a_bucket", "gs://bucket.x"]],
)
def test_places_of_files_are_schemes_and_hosts(places: Any) -> None:
    assert Settings(file_urls=places).file_urls == places


@pytest.mark.parametrize(
    "places",
    [
        *("https://a.example", "", None, 7, [None], [""], ["a.example"], ["*"], ["https://"]),
        *(["https://a.example/"], ["https://u@a.example"], ["//a"], ["https://a b"]),
        *(["https://ä.example"], ["https://a\\b"], ["https://a:x"], ["data:"], ["https://*.a"]),
    ],
)
def test_an_invalid_list_of_places_is_refused(places: Any) -> None:
    with pytest.raises(ConfigurationError, match="FILE_URLS must be a list of schemes and hosts"):
        Settings(file_urls=places)


async def test_the_settings_of_the_current_app_are_read_when_they_are_needed() -> None:
    app = Quart(__name__)
    LanarkyExtension(app)
    app.config["QUART_LANARKY_FLUSH_INTERVAL"] = 0.5
    async with app.app_context():
        assert current_settings() == Settings(flush_interval=0.5)


async def test_an_app_without_the_extension_has_no_settings() -> None:
    async with Quart(__name__).app_context():
        with pytest.raises(ConfigurationError, match=r"call LanarkyExtension\(app\)"):
            current_settings()
