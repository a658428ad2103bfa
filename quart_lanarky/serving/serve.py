"""`serve`: an app under Hypercorn, which stops without cutting a stream.

::

    SIGTERM ─▶ drain: new runs get 503, live ones end ─▶ Hypercorn closes ─▶ what is left is cut

With workers, this process only watches over theirs: it starts one anew when it dies, and stops all
of them when it is told to.
"""

from __future__ import annotations

import gc
import signal
from copy import copy
from typing import Any

from hypercorn.config import Config

from .app_location import load_app, locate_app, settings_of
from .supervisor import Supervisor
from .worker import Worker

__all__ = ["serve"]


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
    is mended, HTTP/2's back-pressure before all: see “What holds” in the documentation. The garbage
    collector leaves alone what is there before the first request, and looks at the rest less often.

    Call it in the main thread, with no event loop running.

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
        ConfigurationError: `app` is no global of a module, and there are workers; or uvloop is
            wanted and not installed.
        SystemExit: Workers die before they serve.
    """
    config = Config() if config is None else copy(config)
    config.bind = bind
    loaded = load_app(app) if isinstance(app, str) else app
    if workers == 0:
        both = (signal.SIGTERM, signal.SIGINT)
        Worker(loaded, config, stop=both, force_stop=both).run()
    else:
        location = locate_app(app)
        Supervisor(location, config, workers, settings_of(loaded).drain_timeout).run()
    # All that the app has imported is no garbage: looking for some would take half a second.
    gc.freeze()
