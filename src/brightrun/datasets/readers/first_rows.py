"""The first rows of a table as a person is shown them: texts shortened, so that no error and no answer grows large."""

from __future__ import annotations

import json
from typing import Any

from brightrun.datasets.readers.fields import Json

FIRST_ROWS = 3
MAX_TEXT = 400
_MAX_COLUMNS = 100
_MAX_NESTED = 4_000


def shown_row(row: Json) -> Json:
    """A row whose long texts are cut off with `…`; a long list or object in it is left out."""
    shown = {key[:MAX_TEXT]: _shown(value) for key, value in list(row.items())[:_MAX_COLUMNS]}
    return {key: value for key, value in shown.items() if value is not _TOO_LONG}


_TOO_LONG = object()


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT].rstrip()}…"
    if isinstance(value, list | dict) and len(json.dumps(value, default=str)) > _MAX_NESTED:
        return _TOO_LONG
    return value
