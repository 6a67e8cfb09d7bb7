"""The file is everything an account ever said."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "account_export",
    "warning",
    "The file is the export of a whole account, and all of its conversations are read, private ones too.",
    "Name those that are to be learned with --choose, by their numbers, ids or words of their titles.",
)
