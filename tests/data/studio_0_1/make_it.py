"""Made this folder. It runs with version 0.1 only (commit 6123194): python tests/data/studio_0_1/make_it.py FOLDER."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path

from brightrun.compute.mishaps import Mishaps
from tests.studio_world import OWNER, World
from tests.unit.command_line import MODEL, pull_wee_model

from brightrun.contract.states import EndReason
from brightrun.database import budgets
from brightrun.database.tables import Table
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.cancel import cancel_job
from brightrun.jobs.submit import ComputeWish, StartJob, submit_job
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder
from brightrun.web.tokens import issue_token

TOKEN = "token.txt"
HOME = Path("/home/owner/studio")  # stands in manifests, whose hashes are recorded: nobody's own path


def main(target: Path) -> None:
    home = HOME
    home.mkdir(parents=True)
    pull_wee_model(home / "source", home)
    world = World(home, script=lambda wish: _mishaps(world, wish.job_id))
    world.storage = LocalFolder(
        home / "storage", LinkSigner("another secret of tests", "http://studio.test"), clock=world.clock
    )  # type: ignore[assignment]
    world.studio = world.reborn()
    file = add_dataset(world.studio, owner_id=OWNER, file_name="evenings.jsonl", source=_conversations(home))

    def start(name: str, **compute: object) -> str:
        request = StartJob(
            training_file_id=file.id, base_model=MODEL, name=name, compute=ComputeWish.model_validate(compute),
            hyperparameters={"num_epochs": 8, "evaluations": 4, "batch_size": 1, "gradient_accumulation_steps": 2},
        )  # fmt: skip
        return submit_job(world.studio, request, owner_id=OWNER).id

    with world.database.session() as session:
        budgets.save(session, OWNER, month_usd=Decimal("50.25"), default_cap_usd=Decimal("9.5"), now=world.clock())
        secret = issue_token(session, owner_id=OWNER, name="laptop", now=world.clock()).secret
    start("done")
    world.live(until=world.at_rest, seconds=1)
    start("stopped at its cap", max_cost_usd=0.08)
    world.live(until=world.at_rest, seconds=1)
    start("fails")
    world.live(until=world.at_rest, seconds=1)
    cancelled = start("cancelled")
    world.live(until=lambda: (world.job(cancelled).current_step or 0) >= 4, seconds=1)
    cancel_job(world.studio, owner_id=OWNER, job_id=cancelled, keep_adapter=True)
    world.live(until=world.at_rest, seconds=1)
    world.clock.turn(3600)
    start("waits")
    _store(world, home, target)
    (target / TOKEN).write_text(secret + "\n")


def _mishaps(world: World, job_id: str) -> Mishaps:
    return (
        Mishaps(fails_at_step=3, fails_with=EndReason.OUT_OF_MEMORY) if world.job(job_id).name == "fails" else Mishaps()
    )


def _conversations(home: Path) -> Path:
    sample = json.loads(Path("examples/lantern-care-sample.json").read_text())
    lines = []
    for conversation in sample["conversations"][:8]:
        messages = [{"role": "system", "content": "You are a calm guide."}]
        for pair in conversation["training_pairs"]:
            messages.append({"role": "user", "content": pair["current_user_input"]})
            answer = pair.get("target_response")
            if not answer:
                messages.pop()
                continue
            messages.append({"role": "assistant", "content": answer[:400].strip()})
        if len(messages) > 2:
            messages[-1]["content"] += "\\n\\nCall me\\non Friday." if not lines else ""
            lines.append(json.dumps({"messages": messages}))
    path = home / "evenings.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def _store(world: World, home: Path, target: Path) -> None:
    url = world.database.engine.url.database
    rows = {}
    with world.database.engine.connect() as connection:
        for table in Table.metadata.sorted_tables:
            plain = table.to_metadata(type(Table.metadata)(), schema=None)
            found = connection.exec_driver_sql(f'SELECT * FROM "{plain.name}"').mappings().all()
            rows[plain.name] = [dict(row) for row in found]
    world.database.close()
    for folder in ("storage", "jobs"):
        shutil.copytree(home / folder, target / folder, ignore=shutil.ignore_patterns(".staging"))
    waiting = {row["id"] for row in rows["training_jobs"] if row["status"] == "queued"}
    for folder in (target / "jobs").iterdir():
        if folder.name not in waiting:
            shutil.rmtree(folder)
    with sqlite3.connect(url) as source, sqlite3.connect(target / "studio.db") as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.execute("VACUUM")
    (target / "rows.json").write_text(json.dumps(rows, indent=0, default=str) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
