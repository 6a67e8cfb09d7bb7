"""An audit and a split as a person reads them in a terminal."""

from __future__ import annotations

from brightrun.cli.show import indented, plain_table, results, styled
from brightrun.datasets.audit import AuditReport
from brightrun.datasets.findings import Finding, FindingExample
from brightrun.datasets.split import Split, bounds
from brightrun.evaluation.outlook import verdict_outlook

_EXAMPLES = 3
_FRACTION = 0.1  # of the conversations, as `--validation-fraction` is where nobody sets it
_COLORS = {"error": "red", "warning": "yellow", "info": "cyan"}


def show_audit(report: AuditReport) -> None:
    """What is in the file, what was found, and whether it can be trained on."""
    results.show_line((report.file_name, "bold"), f"  {report.format}")
    table = plain_table("", "", ">")
    table.show_header = False
    rows = {
        "conversations": report.conversations,
        "that differ": report.independent_conversations,
        "turns": report.turns,
        "answers": report.answers,
        "trainable answers": report.trainable,
        "repaired places": report.repaired,
        "excluded answers": report.excluded,
        "tokens": report.tokens,
        "of them trained on": report.trained_tokens,
        "as separate examples": report.tokens_separate,
        "longest conversation": report.longest_tokens,
        "over the maximum": report.overlength,
    }
    for name, value in rows.items():
        table.add_row(name, f"{value:,}")
    results.print(table)
    results.show_line((f"Tokens counted with: {report.tokenizer}", "dim"))
    if report.columns:
        read_as = ", ".join(f"{column} as {meaning}" for column, meaning in report.columns.items())
        results.show_line((f"Columns read: {read_as}; change that with --map COLUMN=MEANING", "dim"))
    results.print()
    for finding in report.findings:
        _show_finding(finding)
    if report.refused:
        results.show_line(("Refused", "bold red"), ": fix the errors above.")
    else:
        _show_outlook(report)


def _show_outlook(report: AuditReport) -> None:
    """How many conversations would be kept for validation, and whether that is enough for a verdict."""
    there = report.trainable_conversations
    if report.validation_file is not None:
        least = report.validation_file_conversations
        words = f"{least:,} are kept for validation: those of {report.validation_file}"
    else:
        least, most = bounds(there, _FRACTION, report.independent_conversations)
        words = f"{f'{least:,}' if least == most else f'{least:,} to {most:,}'} would be kept for validation"
    results.show_line(("Ready to train.", "bold green"), f" Of {there:,} conversations, {words}.")
    outlook = verdict_outlook(least, out_of=there if report.validation_file is None else None)
    results.show_line(outlook.sentence if outlook.possible else (outlook.sentence, "yellow"))
    if outlook.validation_fraction is not None:
        results.show_line((f"With --set validation_fraction={outlook.validation_fraction:g} there can be one.", "dim"))


def _show_finding(finding: Finding) -> None:
    results.show_line(
        (f"{finding.severity:<8}", _COLORS[finding.severity]), (finding.check, "bold"), f" × {finding.count}"
    )
    results.print(indented(finding.explanation, 8))
    for example in finding.examples[:_EXAMPLES]:
        results.print(indented(styled((_place(example), "cyan"), example.detail), 10))
    if finding.count > _EXAMPLES and len(finding.examples) > _EXAMPLES:
        results.print(indented(styled(("more are in the audit as JSON: --json", "dim")), 10))
    if finding.fix:
        results.print(indented(styled((finding.fix, "dim")), 8))


def _place(example: FindingExample) -> str:
    """Where it was found, before what was found: `c-12, turn 3: `."""
    turn = None if example.turn is None else f"turn {example.turn}"
    where = ", ".join(part for part in (example.conversation, turn) if part is not None)
    return f"{where}: " if where else ""


def show_split(split: Split) -> None:
    """How the strata divide."""
    results.print()
    results.show_line(
        ("Split", "bold"),
        f" (seed {split.seed}): {len(split.train)} conversations train, "
        f"{len(split.validation)} are kept for validation.",
    )
    table = plain_table("", "persona", "emotional arc", ">train", ">validation")
    for stratum in split.strata:
        table.add_row(
            stratum.persona or "unlabelled",
            stratum.arc or "unlabelled",
            str(stratum.conversations - stratum.validation),
            str(stratum.validation),
        )
    results.print(table)
