"""Names that version 0.1 wrote into files and rows, and what they are called now. They are read, never written."""

from __future__ import annotations

from typing import Any

KEYS = {
    "base_held_out_loss": "base_validation_loss",
    "cap_usd": "job_cap_usd",
    "corrections": "calibrations",
    "held_out": "validation",
    "held_out_fraction": "validation_fraction",
    "held_out_loss": "validation_loss",
    "held_out_path": "validation_path",
    "held_out_sha256": "validation_sha256",
    "holds": "passed",
    "largest_row_tokens": "largest_micro_batch_tokens",
    "learnt": "trained",
    "learnt_tokens": "trained_tokens",
    "learnt_tokens_lost": "trained_tokens_lost",
    "learnt_tokens_per_epoch": "trained_tokens_per_epoch",
    "licence": "license",
    "mend": "fix",
    "mends": "fixes",
    "probe_tokens": "fingerprint_tokens",
    "proof": "adapter_check",
    "proven": "verified",
    "quarantined": "excluded",
    "repaired_client_turns": "repaired_user_turns",
}
"""Keys of JSON objects, at whatever depth they stand."""

LABELED = frozenset({"arcs", "by_arc", "by_persona", "packages", "personas", "versions"})
"""Objects whose keys are somebody's own words, which stay as they are."""

VALUES = {
    "check": {
        "cut_answers": "truncated_answers",
        "cut_client_turns": "truncated_user_turns",
        "escaped_client_turns": "escaped_user_turns",
        "nothing_learnt": "no_trained_answers",
        "over_length": "overlength",
    },
    "code": {
        "adapter_kept": "adapter_exported",
        "adapter_not_kept": "adapter_not_exported",
        "adapter_unproven": "adapter_check_failed",
        "collect_failed": "ingest_failed",
    },
    "key": {"dequantised": "dequantized"},
    "provider": {"standing_worker": "static_worker"},
}
"""Values of strings, by the key they stand under."""


def with_current_names(document: Any) -> Any:
    """The same JSON value with every earlier name replaced; what has current names comes back as it was."""
    if isinstance(document, list):
        return [with_current_names(item) for item in document]
    if not isinstance(document, dict):
        return document
    return dict(_renamed(key, value) for key, value in document.items())


def _renamed(key: str, value: Any) -> tuple[str, Any]:
    if key == "over_length":
        return ("overlength_policy", value) if isinstance(value, str) else ("overlength", value)
    if key == "sequences" and isinstance(value, str | int):
        return ("example_unit", value) if isinstance(value, str) else ("examples", value)
    if key == "keep" and value in ("last", "best"):
        return "adapter_choice", value
    if key in LABELED and isinstance(value, dict):
        return key, {label: with_current_names(item) for label, item in value.items()}
    if isinstance(value, str):
        value = VALUES.get(key, {}).get(value, value)
    return KEYS.get(key, key), with_current_names(value)
