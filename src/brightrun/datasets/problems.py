"""Problems that make a file unusable, collected so that a person sees twenty at once and not one per try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from brightrun.errors import DatasetError

MAX_PROBLEMS = 20


class UnreadableRecordError(Exception):
    """One conversation or line cannot be used; readers turn it into a problem of the file."""

    def __init__(
        self,
        place: str,
        problem: str,
        *,
        hint: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem
        self.hint = hint
        self.details = dict(details or {})


@dataclass(slots=True)
class Problems:
    """The problems of one file so far."""

    file_name: str
    found: list[UnreadableRecordError] = field(default_factory=list)

    def add(self, problem: UnreadableRecordError) -> None:
        """Remember one.

        Raises:
            DatasetError: it was the twentieth.
        """
        self.found.append(problem)
        if len(self.found) >= MAX_PROBLEMS:
            self.refuse()

    def refuse(self) -> None:
        """Raise what was found.

        Raises:
            DatasetError: naming the first problem and how many there are; all of them in
            `details["problems"]`.
        """
        if not self.found:
            return
        first = self.found[0]
        more = len(self.found) - 1
        stopped = " and reading stopped there" if len(self.found) >= MAX_PROBLEMS else ""
        others = f" ({more} more problem{'s' if more > 1 else ''}{stopped})" if more else ""
        raise DatasetError(
            f"{self.file_name}, {first.place}: {first.problem}{others}",
            hint=first.hint or "Mend the file at the places named and audit it again.",
            details={
                **first.details,
                "place": first.place,
                "problems": [{"place": item.place, "problem": item.problem, **item.details} for item in self.found],
            },
        )
