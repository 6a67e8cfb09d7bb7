"""Problems that make a file unusable, collected so that a person sees all of them at once and not one per try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from brightrun.errors import DatasetError

MAX_PROBLEMS_LISTED = 10_000
MAX_SHARE_LEFT_OUT = 0.2
_OFFER = "or read the file with --unreadable leave-out to leave such records out, each in the repair log."


class UnreadableRecordError(Exception):
    """One conversation or line cannot be used; readers turn it into a problem of the file."""

    def __init__(
        self,
        place: str,
        problem: str,
        *,
        hint: str | None = None,
        offers: tuple[str, str] | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        """`offers`: a choice of reading, and its value, with which the record can be read."""
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem
        self.hint = hint
        self.offers = offers
        self.details = dict(details or {})


@dataclass(slots=True)
class Problems:
    """The problems of one file so far; of a hopeless file, the first 10,000 are kept and the others counted."""

    file_name: str
    found: list[UnreadableRecordError] = field(default_factory=list)
    count: int = 0

    def add(self, problem: UnreadableRecordError) -> None:
        """Remember one."""
        self.count += 1
        if len(self.found) < MAX_PROBLEMS_LISTED:
            self.found.append(problem)

    def refuse(self, read: int = 0, *, leave_out: bool = False) -> None:
        """Raise what was found, if anything.

        Args:
            read: How many conversations were read.
            leave_out: Records that cannot be read are left out, unless they are more than a fifth.

        Raises:
            DatasetError: naming the first problem and how many there are; all of them in
                `details["problems"]`.
        """
        if not self.found:
            return
        share = self.count / (self.count + read)
        if leave_out and share <= MAX_SHARE_LEFT_OUT:
            return
        too_many = (
            f" {share:.0%} of the records cannot be read; at most {MAX_SHARE_LEFT_OUT:.0%} may be left out."
            if leave_out
            else ""
        )
        raise self._error(too_many, offers=not leave_out and 0 < share <= MAX_SHARE_LEFT_OUT and read > 0)

    def refused_whole(self, problem: UnreadableRecordError) -> DatasetError:
        """The refusal for a problem that leaves nothing of the file to read."""
        self.add(problem)
        return self._error("", offers=False)

    def _offered(self, *, leave_out: bool) -> dict[str, str]:
        """The choices with which the file might be read."""
        found = dict(problem.offers for problem in self.found if problem.offers is not None)
        return found | ({"unreadable": "leave_out"} if leave_out else {})

    def _error(self, too_many: str, *, offers: bool) -> DatasetError:
        first = self.found[0]
        more = self.count - 1
        others = f" ({more:,} more problem{'s' if more > 1 else ''})" if more else ""
        hint = first.hint or "Fix the file at the places named and audit it again."
        if offers and "--unreadable" not in hint:
            hint = f"{hint.rstrip('.')}, {_OFFER}"
        return DatasetError(
            f"{self.file_name}, {first.place}: {first.problem}{others}{'.' if too_many else ''}{too_many}",
            hint=hint,
            details={
                **first.details,
                "choices": self._offered(leave_out=offers),
                "place": first.place,
                "count": self.count,
                "problems": [{"place": item.place, "problem": item.problem, **item.details} for item in self.found],
            },
        )
