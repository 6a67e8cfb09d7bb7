"""An audit and a split as a person reads them in a terminal."""

from __future__ import annotations

from rich.padding import Padding

from brightrun.cli.show import plain_table, results
from brightrun.datasets.audit import AuditReport
from brightrun.datasets.findings import Finding
from brightrun.datasets.split import Split

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


def show_audit(report: AuditReport) -> None:
    """What is in the file, what was found, and whether it can be trained on."""
    results.print(f"[bold]{report.file_name}[/]  {report.format}", highlight=False)
    table = plain_table("", "", ">")
    table.show_header = False
    rows = {
        "conversations": report.conversations,
        "turns": report.turns,
        "answers": report.answers,
        "trainable answers": report.trainable,
        "repaired places": report.repaired,
        "quarantined answers": report.excluded,
        "tokens": report.tokens,
        "of them learnt": report.trained_tokens,
        "as separate examples": report.tokens_separate,
        "longest conversation": report.longest_tokens,
        "over the maximum": report.overlength,
    }
    for name, value in rows.items():
        table.add_row(name, f"{value:,}")
    results.print(table)
    results.print(f"[dim]Tokens counted with: {report.tokenizer}[/]\n", highlight=False)
    for finding in report.findings:
        _show_finding(finding)
    verdict = "[bold red]Refused[/]: mend the errors above." if report.refused else "[bold green]Can be trained on.[/]"
    results.print(verdict, highlight=False)


def _show_finding(finding: Finding) -> None:
    from rich.markup import escape

    color = _COLOURS[finding.severity]
    results.print(f"[{color}]{finding.severity:<8}[/][bold]{finding.check}[/] × {finding.count}", highlight=False)
    results.print(Padding(escape(finding.explanation), (0, 0, 0, 8)), highlight=False)
    if finding.fix:
        results.print(Padding(f"[dim]{escape(finding.fix)}[/]", (0, 0, 0, 8)), highlight=False)


def show_split(split: Split) -> None:
    """How the strata divide."""
    results.print(
        f"\n[bold]Split[/] (seed {split.seed}): {len(split.train)} conversations train, "
        f"{len(split.validation)} are held out for the proof.",
        highlight=False,
    )
    table = plain_table("", "persona", "emotional arc", ">train", ">held out")
    for stratum in split.strata:
        table.add_row(
            stratum.persona or "unlabelled",
            stratum.arc or "unlabelled",
            str(stratum.conversations - stratum.validation),
            str(stratum.validation),
        )
    results.print(table)
