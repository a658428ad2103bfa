"""`serve`: an app under Hypercorn, which stops without cutting a stream.

::

    SIGTERM ─▶ drain: new runs get 503, live ones end ─▶ Hypercorn closes ─▶ what is left is cut

With workers, this process only watches over theirs: it starts one anew when it dies, and stops all
of them when it is told to.
"""

from __future__ import annotations

import gc
import signal
import sys
from copy import copy
from typing import Any

from hypercorn.config import Config

from ..errors import ConfigurationError
from .app_location import load_app, locate_app, settings_of
from .worker import Worker

__all__ = ["serve"]

STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGBREAK")  # the last is Ctrl+Break, on Windows alone
    if hasattr(signal, name)
)


def serve(
    app: Any,
    *,
    bind: str | list[str] = "127.0.0.1:8000",
    workers: int = 0,
    config: Config | None = None,
) -> None:
    """Serve an app with Hypercorn until the process gets SIGTERM or SIGINT.

    Then new runs are answered with status 503, and live ones get the app's
    `QUART_LANARKY_DRAIN_TIMEOUT` to finish. Those that take longer end with an `error` (503) and
    an `end`; WebSockets are closed with code 1012. A second signal ends the wait. Threads that
    cannot be stopped are left behind when the process exits.

    Hypercorn gets the limits of the app (`QUART_LANARKY_MAX_MESSAGE_BYTES`), and what it lacks
    is mended, HTTP/2's back-pressure before all: see “Reliability” in the documentation. The
    garbage collector leaves alone what is there before the first request, and looks at the rest
    less often.

    Call it in the main thread, with no event loop running. On Windows it serves in one process
    (`workers=0`) on TCP ports, until Ctrl+C or Ctrl+Break; the tests only simulate Windows.

    Args:
        app: The app, an ASGI application around it, or (as the `hypercorn` command takes it)
            where to import it from, such as `"package.module:app"`.
        bind: Where to listen: `"host:port"`, `"unix:path"`, `"fd://number"`, or a list of them.
        workers: How many processes serve. 0 serves in this process. With 1 and more, a process
            that dies is started anew; each imports the app for itself, so that `app` must be a
            global of a module, and the call belongs below ``if __name__ == "__main__":``.
        config: Hypercorn's own configuration, for TLS, logs and the rest: ``worker_class =
            "uvloop"`` takes the faster event loop. Its `bind`, `workers` and `graceful_timeout`
            do not count, and its `backlog` is 1024 at least.

    Raises:
        ConfigurationError: `app` is no global of a module, and there are workers; it cannot be
            imported; uvloop is wanted and not installed; or this is Windows, and it takes POSIX.
        SystemExit: Workers die before they serve.
    """
    config = Config() if config is None else copy(config)
    config.bind = bind
    _check_platform(config, workers)
    loaded = load_app(app) if isinstance(app, str) else app
    if workers == 0:
        Worker(loaded, config, stop=STOP_SIGNALS, force_stop=STOP_SIGNALS).run()
    else:
        from .supervisor import Supervisor  # which cannot be imported on Windows

        location = locate_app(app)
        Supervisor(location, config, workers, settings_of(loaded).drain_timeout).run()
    # All that the app has imported is no garbage: looking for some would take half a second.
    gc.freeze()


def _check_platform(config: Config, workers: int) -> None:
    """Refuse on Windows what takes POSIX.

    Raises:
        ConfigurationError: There are workers, or sockets other than TCP's.
    """
    if sys.platform != "win32":
        return
    if workers:
        raise ConfigurationError(
            "workers take POSIX (signals, and sockets that processes share), which Windows is not: "
            "serve with workers=0, and start several processes on several ports behind a proxy"
        )
    for bind in [*config.bind, *config.insecure_bind]:
        if bind.startswith(("unix:", "fd://")):
            raise ConfigurationError(f'{bind!r} takes POSIX, which Windows is not: "host:port"')
