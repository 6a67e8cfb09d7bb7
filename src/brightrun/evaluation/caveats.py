"""What a fair reader must know beside a report's figures."""

from __future__ import annotations

from brightrun.evaluation.run_report import RunReport
from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS
from brightrun.format import counted


def caveats(report: RunReport) -> list[str]:
    """What a fair reader must know beside the figures."""
    said: list[str] = []
    if report.kept == "best" and len(report.validation) > 1:
        said.append(
            f"The adapter delivered is that of step {report.kept_step:,}, the best of {len(report.validation)} "
            "measurements on the same validation answers; choosing it so flatters its figure a little."
        )
    if report.comparison.overall.verdict == "too_few":
        said.append(
            f"Fewer than {MINIMUM_CONVERSATIONS} conversations were kept for validation. Their figures are shown as "
            "measured; they do not tell how the model does on others."
        )
    if report.resumed:
        often = "once" if report.resumed == 1 else counted(report.resumed, "time")
        said.append(f"The run was interrupted {often} and went on from its last checkpoint.")
    return [*said, *report.notes]
