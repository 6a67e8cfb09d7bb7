"""`brightrun dataset`: audit a file, look at what will be trained on, prepare and split it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from brightrun.cli.input_file import readable_file
from brightrun.cli.models import REFERENCE_MODEL, chat_model_for, context_of
from brightrun.cli.reading import with_reading_choices
from brightrun.cli.show import byte_progress, paragraphs, plain_table, print_json, results
from brightrun.cli.show_audit import show_audit, show_split
from brightrun.datasets.audit import audit_dataset
from brightrun.datasets.options import ReadingChoices, ReadOptions
from brightrun.datasets.prepare import PreparedDataset, prepare_dataset
from brightrun.datasets.preview import preview_conversation
from brightrun.datasets.split import Split
from brightrun.errors import DatasetError
from brightrun.files import write_model

app = typer.Typer(help="Datasets: audit, preview, prepare, split.", no_args_is_help=True)


class ProfileChoice(StrEnum):
    """Whether the client's profile goes into the system prompt."""

    keep = "keep"
    system_prompt = "system_prompt"


class OverlengthPolicy(StrEnum):
    """What happens to a conversation over the maximum."""

    refuse = "refuse"
    drop = "drop"


File = Annotated[
    Path,
    typer.Argument(
        callback=readable_file,
        allow_dash=True,
        help="The file of conversations; - is standard input, hf:owner/name a dataset of the hub.",
    ),
]
ValidationPath = Annotated[
    Path | None,
    typer.Option(
        "--validation-file",
        "--held-out",
        callback=readable_file,
        help="A validation file of your own.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Model = Annotated[str, typer.Option(help="Base model whose tokenizer and chat template are used.")]
NoRepair = Annotated[bool, typer.Option("--no-repair", help="Leave damaged answers out instead of repairing them.")]
Profile = Annotated[ProfileChoice, typer.Option(help="Put the client's profile into the system prompt, or keep as is.")]
MaxLength = Annotated[int | None, typer.Option("--max-seq-length", min=16, help="Longest conversation in tokens.")]
Over = Annotated[OverlengthPolicy, typer.Option(help="Refuse a longer conversation, or leave it out and log it.")]
Fraction = Annotated[
    float, typer.Option("--validation-fraction", min=0.01, max=0.5, help="Share kept aside for validation.")
]
Seed = Annotated[int, typer.Option(min=0, help="Decides which conversations are kept for validation.")]
Previous = Annotated[Path | None, typer.Option(help="An earlier split.json; its conversations keep their parts.")]


@app.command()
@with_reading_choices
def audit(
    file: File,
    model: Model = REFERENCE_MODEL,
    no_repair: NoRepair = False,
    client_profile: Profile = ProfileChoice.keep,
    max_seq_length: MaxLength = None,
    overlength_policy: Over = OverlengthPolicy.refuse,
    validation_file: ValidationPath = None,
    json: Json = False,
    *,
    choices: ReadingChoices,
) -> None:
    """Read a file and tell what was found in it. Exit status 0: usable, perhaps with warnings; 2: refused."""
    options = _options(choices, no_repair, client_profile, max_seq_length, overlength_policy, context_of(model))
    with byte_progress(f"Auditing {file.name}") as progress:
        report = audit_dataset(
            file, chat=chat_model_for(model), options=options, validation_file=validation_file, progress=progress
        )
    if json:
        print_json(report)
    else:
        show_audit(report)
    if report.refused:
        raise typer.Exit(2)


@app.command()
@with_reading_choices
def preview(
    file: File,
    conversation: Annotated[str, typer.Option(help="Which conversation: its number from 1, or its id.")] = "1",
    model: Model = REFERENCE_MODEL,
    no_repair: NoRepair = False,
    client_profile: Profile = ProfileChoice.keep,
    json: Json = False,
    *,
    choices: ReadingChoices,
) -> None:
    """Show a conversation as the model sees it; what is trained on is green and underlined."""
    chat = chat_model_for(model)
    options = _options(choices, no_repair, client_profile, None, OverlengthPolicy.refuse)
    shown = preview_conversation(file, conversation, chat=chat, options=options)
    pieces = chat.preview_spans(shown.messages())
    encoded = chat.encode_conversation(shown.messages())
    if json:
        print_json(
            {
                "conversation": shown.id, "tokens": len(encoded.input_ids), "trained_tokens": encoded.trained_tokens,
                "answers": len(encoded.answer_spans),
                "pieces": [{"text": text, "trained": trained} for text, trained in pieces],
            }
        )  # fmt: skip
        return
    results.show_line((f"Conversation {shown.id}", "bold"))
    results.print(
        f"{len(encoded.input_ids):,} tokens, of them {encoded.trained_tokens:,} trained on (green, underlined) "
        f"in {len(encoded.answer_spans)} answers. Template: {chat.name}."
    )
    results.print()
    results.print(paragraphs(*((text, "green underline" if trained else "dim") for text, trained in pieces)))


@app.command()
@with_reading_choices
def prepare(
    file: File,
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist yet.")],
    model: Model = REFERENCE_MODEL,
    no_repair: NoRepair = False,
    client_profile: Profile = ProfileChoice.keep,
    max_seq_length: MaxLength = None,
    overlength_policy: Over = OverlengthPolicy.refuse,
    validation_fraction: Fraction = 0.1,
    seed: Seed = 42,
    previous: Previous = None,
    validation_file: ValidationPath = None,
    json: Json = False,
    *,
    choices: ReadingChoices,
) -> None:
    """Write train.jsonl, validation.jsonl, the audit, the split and the repair log of every repair and omission."""
    if out.exists():
        raise DatasetError(f"{out} exists already.", hint="Choose another folder with --out; nothing was written.")
    options = _options(choices, no_repair, client_profile, max_seq_length, overlength_policy, context_of(model))
    prepared = _prepare(file, out, model, options, validation_fraction, seed, previous, validation_file)
    if json:
        print_json(prepared)
        return
    show_audit(prepared.audit)
    show_split(prepared.split)
    results.print()
    results.show_line(f"Written to {out}: train.jsonl, validation.jsonl, audit.json, split.json, repair_log.jsonl")


@app.command()
@with_reading_choices
def split(
    file: File,
    out: Annotated[Path | None, typer.Option(help="Write the split to this file.")] = None,
    model: Model = REFERENCE_MODEL,
    validation_fraction: Fraction = 0.1,
    seed: Seed = 42,
    previous: Previous = None,
    validation_file: ValidationPath = None,
    json: Json = False,
    *,
    choices: ReadingChoices,
) -> None:
    """Show which conversations train and which are kept for validation, by persona and emotional arc."""
    from tempfile import TemporaryDirectory

    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise DatasetError(f"{out} cannot be written.", hint="Give --out a file name in a folder that exists.")
    options = ReadOptions(**dict(choices), context_length=context_of(model))
    with TemporaryDirectory() as scratch:
        target = Path(scratch) / "prepared"
        prepared = _prepare(
            file,
            target,
            model,
            options,
            validation_fraction,
            seed,
            previous,
            validation_file,
        )
    if out is not None:
        write_model(out, prepared.split)
    if json:
        print_json(prepared.split)
        return
    show_split(prepared.split)
    table = plain_table("Validation", "conversation")
    for name in prepared.split.validation:
        table.add_row(name)
    results.print(table)


def _prepare(
    file: Path,
    out: Path,
    model: str,
    options: ReadOptions,
    fraction: float,
    seed: int,
    previous: Path | None,
    validation_file: Path | None,
) -> PreparedDataset:
    with byte_progress(f"Preparing {file.name}") as progress:
        return prepare_dataset(
            file, out, chat=chat_model_for(model), options=options, validation_fraction=fraction, seed=seed,
            previous=_read_split(previous), validation_file=validation_file, progress=progress,
        )  # fmt: skip


def _read_split(path: Path | None) -> Split | None:
    if path is None:
        return None
    try:
        return Split.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is not a split.", hint="Give the split.json of an earlier prepare.") from error


def _options(
    choices: ReadingChoices,
    no_repair: bool,
    profile: ProfileChoice,
    max_seq_length: int | None,
    over: OverlengthPolicy,
    context: int | None = None,
) -> ReadOptions:
    values: dict[str, Any] = {
        **choices.model_dump(),
        "repair": not no_repair,
        "client_profile": profile.value,
        "max_seq_length": max_seq_length,
        "context_length": context,
        "overlength_policy": over.value,
    }
    return ReadOptions.model_validate(values)
