"""The page of one dataset: its audit as a report, how long its conversations are, what it covers, its jobs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.charts.histogram import Bin, histogram
from brightrun.charts.matrix import matrix
from brightrun.charts.run_charts import WIDTHS
from brightrun.database import files
from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.findings import Finding
from brightrun.datasets.readers.account_exports import ACCOUNT_EXPORTS
from brightrun.jobs.ownership import owned_file
from brightrun.planning.resolve import fitting_length
from brightrun.web.api.schemas import FileView, JobView
from brightrun.web.deps import CurrentPrincipal, FileId, StudioDep
from brightrun.web.pages.dataset_texts import (
    SEVERITIES,
    choice_for,
    choices_texts,
    finding_done,
    finding_fix,
    finding_title,
    format_text,
    header_text,
    reading_choices,
)
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False)

_UNLABELLED = "unlabelled"
_JOBS = 20


@dataclass(frozen=True, slots=True)
class Balance:
    """What becomes of everything in the file; each line adds up to its whole."""

    conversations: int
    used: int
    answers: int
    trained: int
    excluded: int

    @classmethod
    def of(cls, audit: AuditReport) -> Balance:
        return cls(audit.conversations, audit.trainable_conversations, audit.answers, audit.trainable, audit.excluded)

    @property
    def conversations_left_out(self) -> int:
        return self.conversations - self.used

    @property
    def otherwise_untrained(self) -> int:
        """Answers that the file does not offer, and sound ones of conversations that were left out."""
        return self.answers - self.trained - self.excluded


@router.get("/datasets/{file_id}")
def show_dataset(request: Request, studio: StudioDep, principal: CurrentPrincipal, file_id: FileId) -> Response:
    """The page."""
    with studio.database.reading() as session:
        row = owned_file(session, principal.owner_id, file_id)
        audit = None if row.audit is None else AuditReport.model_validate(row.audit)
        jobs = files.list_jobs(session, file_id, limit=_JOBS)
        values: dict[str, Any] = {
            "title": row.file_name,
            "file": FileView.of(row),
            "audit": audit,
            "jobs": [JobView.of(job) for job in jobs.items],
            "jobs_count": files.count_jobs(session, file_id),
            "format_text": format_text,
            "can_choose": row.format in ACCOUNT_EXPORTS,
        }
    return page(request, "dataset.html", active="datasets", **values, **({} if audit is None else _report(audit)))


def _report(audit: AuditReport) -> dict[str, Any]:
    return {
        "balance": Balance.of(audit),
        "header_text": header_text(audit),
        "choices_texts": choices_texts(audit),
        "groups": [(SEVERITIES[name], _of_severity(audit, name)) for name in SEVERITIES],
        "finding_title": finding_title,
        "finding_fix": finding_fix,
        "choice_for": partial(choice_for, audit=audit),
        "reading": reading_choices(audit),
        "problems": sum(finding.count for finding in audit.findings if finding.severity != "info"),
        "fitting": audit.max_seq_length or fitting_length(audit.longest_tokens),
        "lengths_chart": _lengths(audit) if audit.lengths else None,
        "coverage_chart": _coverage(audit) if audit.personas or audit.arcs else None,
    }


def _of_severity(audit: AuditReport, severity: str) -> list[tuple[Finding, str]]:
    """Findings with what became of them."""
    return [
        (finding, finding_done(finding, repairs=audit.options.repair))
        for finding in audit.findings
        if finding.severity == severity
    ]


def _lengths(audit: AuditReport) -> dict[str, str]:
    counts = [Bin(one.from_tokens, one.to_tokens - 1, one.conversations) for one in audit.lengths]
    limit = audit.max_seq_length or fitting_length(audit.longest_tokens)
    return {
        size: histogram(
            counts,
            chart_id=f"lengths-{size}",
            title="Conversations by length",
            x_label="Tokens",
            noun="conversation",
            limit=limit,
            limit_label="maximum length",
            width=width,
        )
        for size, width in WIDTHS.items()
    }


def _coverage(audit: AuditReport) -> dict[str, str]:
    counts = {(cell.persona or _UNLABELLED, cell.arc or _UNLABELLED): cell.conversations for cell in audit.coverage}
    return {
        size: matrix(
            counts,
            chart_id=f"coverage-{size}",
            title="Conversations by persona and emotional arc",
            sides=("persona", "arc"),
            noun="conversation",
            width=width,
        )
        for size, width in WIDTHS.items()
    }
