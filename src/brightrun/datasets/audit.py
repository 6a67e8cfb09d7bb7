"""The audit of a file of conversations: what it holds, what is wrong with it, what would be trained on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.examination import Examination
from brightrun.datasets.findings import Finding, FindingExample
from brightrun.datasets.look_ahead import AUTOMATIC, LookAhead
from brightrun.datasets.options import ReadOptions
from brightrun.templating.chat_model import ChatModel

__all__ = ["AuditReport", "Finding", "FindingExample", "ReadOptions", "audit_dataset"]

AS_IT_IS = ReadOptions()


def audit_dataset(
    path: Path,
    *,
    chat: ChatModel,
    options: ReadOptions = AS_IT_IS,
    validation_file: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    ahead: LookAhead = AUTOMATIC,
) -> AuditReport:
    """Read a file once and report. Writes nothing.

    Args:
        validation_file: A validation file of one's own, audited with it.
        progress: Called with bytes done and bytes in all.
        ahead: How many processes encode a large file; the report does not depend on it.

    Raises:
        DatasetError: the file cannot be read as conversations: syntax, format, structure. Findings of the
            severity "error" do not raise; they set `refused`.
    """
    examination = Examination(path, chat, options, validation_file=validation_file, progress=progress, ahead=ahead)
    with closing(examination.conversations()) as conversations:
        for _ in conversations:
            pass
    return examination.report()
