"""What this machine can do, as the settings say how long to look; asked without the training stack."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from brightrun.cli.show import problems
from brightrun.planning.this_machine import Machine, current_probe, kept_probe, own_gpu
from brightrun.planning.this_machine import this_machine as machine_in
from brightrun.settings import Settings, read_settings


def this_machine(*, again: bool = False) -> Machine:
    """The machine a run here would use; a person is told where its processor has to be probed first."""
    settings = read_settings()
    if (
        problems.is_terminal
        and own_gpu() is None
        and (again or kept_probe(settings.home, settings.probe_seconds) is None)
    ):
        problems.print(f"[dim]Timing this processor for {settings.probe_seconds:.0f} s, once a day …[/]")
    return machine_in(settings.home, probe_seconds=settings.probe_seconds, again=again)


def probe_beside(settings: Settings) -> Thread:
    """Time this processor in a thread of its own where nothing usable is kept, so that no request has to."""

    def look() -> None:
        with suppress(OSError):  # a home that cannot be written is told elsewhere; requests look for themselves
            if own_gpu() is None:
                current_probe(settings.home, settings.probe_seconds)

    thread = Thread(target=look, name="probe", daemon=True)
    thread.start()
    return thread
