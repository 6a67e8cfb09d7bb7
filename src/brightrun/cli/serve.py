"""`brightrun serve`: the studio on this machine, over HTTP, with its reconciler, until it is stopped."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from brightrun.cli.show import plain_table, problems, results
from brightrun.errors import InputError, MachineError
from brightrun.plain_text import visible
from brightrun.platforms import Ability, require
from brightrun.settings import Settings, read_settings

if TYPE_CHECKING:
    from brightrun.jobs.studio import Studio
    from brightrun.web.access import Access

_GOODBYE_SECONDS = 3
_NOISY = ("httpx", "httpcore", "alembic", "uvicorn")


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen at; 127.0.0.1 is this machine alone.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = None,
) -> None:
    """Run the studio until Ctrl-C. Jobs that train go on without it; started again, it finds them."""
    require(Ability.STUDIO)
    settings = _with(read_settings(), host, port)
    _log_to_screen()
    with closing(_listen(settings)) as listener:
        bound = settings.model_copy(update={"port": listener.getsockname()[1]})
        _run(bound, listener)


def _with(settings: Settings, host: str | None, port: int | None) -> Settings:
    given = {"host": host, "port": port}
    return settings.model_copy(update={name: value for name, value in given.items() if value is not None})


def _listen(settings: Settings) -> socket.socket:
    """A socket that is open before anything else happens: its port is known, and whoever knocks early waits."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:  # the latter where it could be no name of a machine
        raise InputError(f"There is no address {settings.host} here.", hint="Give another with --host.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise MachineError(
            f"The studio cannot listen at {settings.host}, port {settings.port}: {error.strerror}.",
            hint="Another program may use the port; choose one with --port, or 0 for any that is free.",
        ) from error
    return listener


def _run(settings: Settings, listener: socket.socket) -> None:
    import uvicorn

    from brightrun.assembly import build_access, build_studio, build_web_options, make_home
    from brightrun.cli.open_streams import OpenStreams, StudioServer
    from brightrun.cli.reconciler import Reconciler, lock_home
    from brightrun.cli.this_device import benchmark_in_background
    from brightrun.web.app import create_app

    with lock_home(make_home(settings)) as owner:
        studio = build_studio(settings)
        access = build_access(settings, studio)
        if access.login_required:
            _require_a_token(studio, settings)
        streams = OpenStreams(create_app(studio, access, build_web_options(settings)))
        config = uvicorn.Config(
            streams,
            log_config=None,
            access_log=False,  # addresses of stored files are permissions; they belong into no log
            proxy_headers=access.login_required,
            server_header=False,
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
        )
        reconciler = Reconciler(studio, owner)
        with _stopped_by_signals():
            reconciler.start()
            benchmark_in_background(settings)
            try:
                _print_address(settings, studio, access)
                StudioServer(config, streams).run(sockets=[listener])
            except KeyboardInterrupt:  # uvicorn raises the signal again once it has ended
                pass
            finally:
                reconciler.stop()
                studio.database.close()
                _report_end()


def _require_a_token(studio: Studio, settings: Settings) -> None:
    """A studio that others reach and nobody can enter is a mistake, and no reason to let everybody in."""
    from brightrun.cli.token import live_tokens

    if not live_tokens(studio.database):
        raise InputError(
            f"At {settings.public_url or settings.host} others can reach the studio, and there is no API token yet.",
            hint="Make one first: brightrun token create NAME. Or listen at 127.0.0.1, for this machine alone.",
        )


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM ends the studio as Ctrl-C does."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def address(settings: Settings) -> str:
    """Where a browser on this machine, or the public, finds the studio."""
    if settings.public_url:
        return settings.public_url
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _print_address(settings: Settings, studio: Studio, access: Access) -> None:
    results.show_line(("The studio is at", "bold"), f" {address(settings)}")
    table = plain_table("", "", "")
    table.show_header = False
    entered = "with an API token or a login" if access.login_required else "from this machine alone, without a login"
    rows = {
        "entered": entered,
        "database": studio.database.url.render_as_string(hide_password=True),
        "files": str(settings.storage),
        "models": str(studio.models),
        "jobs run on": ", ".join([studio.default_compute, *sorted(set(studio.computes) - {studio.default_compute})]),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    results.print(table, soft_wrap=True)
    results.show_line(("Ctrl-C stops it. Jobs that train go on without it and are found again.", "dim"))


def _report_end() -> None:
    problems.show_line("The studio stopped. Workers on this machine go on; it finds them when it is started again.")


class _PlainFormatter(logging.Formatter):
    """A message is one line, whatever names are in it; only a trace below it has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 the name it has in the class above
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 the same
        return visible(super().formatException(ei), lines=True)


def _log_to_screen() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
