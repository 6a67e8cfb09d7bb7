"""Examples for the API's description: requests by hand, answers out of their own schemas, so that none goes stale."""

from __future__ import annotations

from typing import Any

from brightrun.web import problems

_ID = "0b6f1c1e-6a43-4c62-9a5e-0a4f2a7d9b11"
_MOMENT = "2026-11-25T09:30:00Z"
_DEEPEST = 8
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_BY_NAME: dict[str, Any] = {
    **dict.fromkeys(("id", "job_id", "training_job_id", "training_file_id", "file_id"), _ID),
    "acknowledged": 17,
    "actual_cost_usd": None,
    "answers": 60,
    "attempt": 1,
    "base_model": "smollm2-135m-instruct",
    "bytes": 48213,
    "can_retry": False,
    "cancel_requested_at": None,
    "completed_at": None,
    "compute": {"provider": "local_process"},
    "conversations": 20,
    "current_step": 12,
    "data": {"loss": 1.87, "learning_rate": 0.0002},
    "epoch": 1.0,
    "estimated_duration_minutes": 12.5,
    "estimated_duration_minutes_high": 18.0,
    "estimated_duration_minutes_low": 9.0,
    "estimated_seconds": 750.0,
    "expires_at": None,
    "format": "brightrun-v4",
    "grad_norm": 0.42,
    "happened_at": _MOMENT,
    "has_more": False,
    "hint": None,
    "hyperparameters": {"num_epochs": 3, "learning_rate": 0.0002, "r": 16},
    "learning_rate": 0.0002,
    "loss": 1.87,
    "memory_bytes": None,
    "message": "Training 36 steps.",
    "metrics": {"loss": 1.87, "validation_loss": 1.95},
    "name": "first",
    "owner_id": "local",
    "reason": None,
    "recipe": "balanced",
    "refused": False,
    "retry_of": None,
    "sequence": 17,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "step": 12,
    "tokens": 21480,
    "tokens_per_second": 900.0,
    "total_steps": 36,
    "validation_file_id": None,
}
_JOB_REQUEST = {
    "training_file_id": _ID,
    "base_model": "smollm2-135m-instruct",
    "recipe": "balanced",
    "hyperparameters": {"num_epochs": 3},
    "compute": {"provider": "local_process", "max_duration_hours": 4},
}
REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/api/training/plan"): _JOB_REQUEST,
    ("post", "/api/training/start-job"): _JOB_REQUEST,
    ("post", "/api/training/jobs/{job_id}/retry"): {"hyperparameters": {"learning_rate": 0.0001}},
    ("post", "/api/session"): {"token": "the-token-as-it-was-shown"},
    ("post", "/api/training/webhook"): {
        "job_id": _ID,
        "attempt": 1,
        "worker": f"train-{_ID}-1",
        "sequence": 17,
        "status": "training",
        "step": 12,
        "total_steps": 36,
        "metrics": {"loss": 1.87, "learning_rate": 0.0002},
        "timestamp": _MOMENT,
        "events": [
            {
                "sequence": 17, "attempt": 1, "timestamp": _MOMENT, "kind": "step", "status": "training", "step": 12,
                "total_steps": 36, "data": {"loss": 1.87, "learning_rate": 0.0002},
            }
        ],
    },
}  # fmt: skip


def add_examples(description: dict[str, Any]) -> None:
    """Give every JSON body of a description that has none an example.

    Args:
        description: OpenAPI 3.1; it is changed.
    """
    shapes = description["components"]["schemas"]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            for status, body in {"request": operation.get("requestBody", {}), **operation["responses"]}.items():
                content = body.get("content", {}).get("application/json")
                if content is None or "example" in content:
                    continue
                if status == "request" and (method, path) in REQUESTS:
                    content["example"] = REQUESTS[method, path]
                elif content["schema"] == _PROBLEM:
                    content["example"] = problems.example(int(status))
                else:
                    content["example"] = sample(content["schema"], shapes)


def sample(schema: dict[str, Any], shapes: dict[str, Any], *, name: str = "", depth: int = 0) -> Any:  # noqa: PLR0911
    """A value that a JSON schema allows, the likely one where the field's name says what it is.

    Args:
        shapes: What `#/components/schemas/…` means.
        name: The field's.
    """
    if "$ref" in schema:
        return sample(shapes[schema["$ref"].rsplit("/", 1)[1]], shapes, name=name, depth=depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return "training" if "training" in schema["enum"] else schema["enum"][0]
    if schema.get("examples"):
        return schema["examples"][0]
    if "anyOf" in schema:
        return sample(_choice(schema["anyOf"], name), shapes, name=name, depth=depth)
    if name in _BY_NAME and _is_a(_BY_NAME[name], schema):
        return _BY_NAME[name]
    if schema.get("type") == "array":
        items = schema.get("items", {})
        fewest = schema.get("minItems", 0)
        full = depth < _DEEPEST and not schema.get("prefixItems")
        return [sample(items, shapes, depth=depth + 1)] * max(fewest, 1) if full else []
    if "properties" in schema:
        fields = schema["properties"].items()
        return {field: sample(shape, shapes, name=field, depth=depth + 1) for field, shape in fields}
    return _plain(schema)


def _choice(choices: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """What is not there yet is null; otherwise the first that is something."""
    wanted = name in _BY_NAME and _BY_NAME[name] is None
    return next((choice for choice in choices if (choice.get("type") == "null") is wanted), choices[0])


def _is_a(value: object, schema: dict[str, Any]) -> bool:
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}
    return "properties" not in schema and isinstance(value, kinds.get(schema.get("type", ""), ()))


def _plain(schema: dict[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    if schema.get("format") == "date-time":
        return _MOMENT
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    kinds = {"string": "…", "integer": int(least), "number": float(least), "boolean": True, "null": None}
    return kinds.get(schema.get("type", ""), {})
