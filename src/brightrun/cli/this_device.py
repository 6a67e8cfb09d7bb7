"""What this machine can do, as the settings say how long to look; asked without the training stack."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from brightrun.cli.show import problems
from brightrun.format import about_text
from brightrun.planning.this_machine import Machine, current_cpu_benchmark, own_gpu, saved_cpu_benchmark
from brightrun.planning.this_machine import this_machine as machine_in
from brightrun.settings import Settings, read_settings


def this_machine(*, again: bool = False) -> Machine:
    """The machine a run here would use; a person is told where its processor has to be measured first."""
    settings = read_settings()
    if (
        problems.is_terminal
        and own_gpu() is None
        and (again or saved_cpu_benchmark(settings.home, settings.cpu_benchmark_seconds) is None)
    ):
        time = about_text(settings.cpu_benchmark_seconds)
        problems.show_line((f"Timing this processor for {time}, once a day …", "dim"))
    return machine_in(settings.home, cpu_benchmark_seconds=settings.cpu_benchmark_seconds, again=again)


def benchmark_in_background(settings: Settings) -> Thread:
    """Time this processor in a thread of its own where nothing usable is kept, so that no request has to."""

    def look() -> None:
        with suppress(OSError):  # a home that cannot be written is told elsewhere; requests look for themselves
            if own_gpu() is None:
                current_cpu_benchmark(settings.home, settings.cpu_benchmark_seconds)

    thread = Thread(target=look, name="cpu benchmark", daemon=True)
    thread.start()
    return thread
