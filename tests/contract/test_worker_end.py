"""Whoever is asked to end, and however: the log has one last line, and one process owns it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytest.importorskip("torch")

from brightrun.contract.event_data import EndData
from brightrun.contract.events import EndEvent, Event, read_event_log
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason
from tests.contract.test_worker_server import Served, request_for, served, trainers, wait_for
from tests.runs import make_run

pytestmark = [pytest.mark.worker, pytest.mark.slow]
BY_THE_TRAINER, BY_THE_SERVER = "KeyboardInterrupt", "process_ended"


def training(server: Served, folder: RunFolder) -> psutil.Process:
    """Start a run that is long enough, and wait for its first step; its process."""
    assert server.start(request_for(folder)).status_code == 200
    wait_for(lambda: any(event.kind == "step" for event in read_event_log(folder.event_log)))
    (pid,) = trainers(folder.root)
    return psutil.Process(pid)


def ends(folder: RunFolder) -> list[EndEvent]:
    events: list[Event] = list(read_event_log(folder.event_log))
    found = [event for event in events if isinstance(event, EndEvent)]
    assert not found or events[-1] is found[-1], "nothing is told after the end"
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    return found


def to_the_server(server: Served, _: psutil.Process) -> None:
    server.process.send_signal(signal.SIGTERM)


def to_both_at_once(server: Served, trainer: psutil.Process) -> None:
    """As a service manager does, and as the studio did."""
    trainer.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)


def to_the_trainer_first(server: Served, trainer: psutil.Process) -> None:
    trainer.send_signal(signal.SIGTERM)
    trainer.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("ask", [to_the_server, to_both_at_once, to_the_trainer_first])
def test_a_machine_that_is_asked_to_end_tells_so_once_by_its_trainer(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path, ask: Callable[[Served, psutil.Process], None]
) -> None:
    folder = make_run(tmp_path / "jobs" / "long", tiny_model, sample_dataset, num_epochs=100.0)
    with served(tmp_path / "jobs") as server:
        trainer = training(server, folder)
        ask(server, trainer)
        assert server.process.wait(timeout=60) == 0
        assert trainers(folder.root) == []
    (end,) = ends(folder)
    assert (end.reason, end.data.code) == (EndReason.INTERRUPTED, BY_THE_TRAINER)


def test_a_trainer_goes_on_whoever_but_its_server_asks_it_to_end(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    folder = make_run(tmp_path / "jobs" / "long", tiny_model, sample_dataset, num_epochs=100.0)
    with served(tmp_path / "jobs") as server:
        trainer = training(server, folder)
        trainer.send_signal(signal.SIGTERM)
        before = server.status("long").last_sequence
        wait_for(lambda: server.status("long").last_sequence > before + 2)
        assert ends(folder) == []
        stopped = server.stop("long")
        assert not stopped.alive
        (end,) = ends(folder)
        assert end.data.code == BY_THE_TRAINER


def test_the_server_tells_the_end_of_a_trainer_that_is_gone(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    folder = make_run(tmp_path / "jobs" / "long", tiny_model, sample_dataset, num_epochs=100.0)
    with served(tmp_path / "jobs") as server:
        training(server, folder).kill()
        wait_for(lambda: not server.status("long").alive)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0
    (end,) = ends(folder)
    assert isinstance(end.data, EndData)
    assert (end.reason, end.data.code) == (EndReason.INTERRUPTED, BY_THE_SERVER)
