"""What a folder in the Hugging Face format must hold to be trained. Looks at names and small files only."""

from __future__ import annotations

import json
from pathlib import Path

from brightrun.errors import ModelError

REQUIRED = ("config.json", "tokenizer.json")
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
INDEX_NAME = "model.safetensors.index.json"


def is_wanted(name: str) -> bool:
    """True for what training needs: safetensors, JSON, tokenizer, template and license, top level only."""
    if "/" in name or name.startswith((".", "consolidated")):
        return False
    starts = ("tokenizer", "chat_template", "license", "use_policy", "notice")
    return name.endswith((".safetensors", ".json")) or name.lower().startswith(starts)


def require_base_files(folder: Path, model: str) -> None:
    """Checks configuration, tokenizer and chat template; weights are not looked at.

    Raises:
        ModelError: one is missing, or the model has no chat template and so was never taught to answer.
    """
    for name in REQUIRED:
        if not (folder / name).is_file():
            raise ModelError(
                f"{model} has no {name}.",
                hint="Choose an instruct model in the Hugging Face format (safetensors with tokenizer.json).",
            )
    if not _has_template(folder):
        raise ModelError(
            f"{model} has no chat template, so it is a base model that was never taught to answer; "
            "its header tokens are untrained and an adapter cannot mend that.",
            hint="Choose the Instruct variant of this model.",
        )


def _has_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in TEMPLATE_FILES):
        return True
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and bool(config.get("chat_template"))


def require_weights(folder: Path, model: str) -> None:
    """Checks that safetensors are there, and every shard that the index names.

    Raises:
        ModelError: there are none, or a shard is missing.
    """
    present = {path.name for path in folder.glob("*.safetensors")}
    missing = sorted(_shards(folder, model) - present)
    if missing or not present:
        what = f"{len(missing)} of its shards, the first {missing[0]}" if missing else "safetensors weights"
        raise ModelError(
            f"{model} lacks {what}.",
            hint="Download the model completely, or convert older .bin weights to safetensors first.",
            details={"missing": missing},
        )


def _shards(folder: Path, model: str) -> set[str]:
    path = folder / INDEX_NAME
    if not path.is_file():
        return set()
    try:
        return set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{INDEX_NAME} of {model} cannot be read.", hint="Download the model again.") from error
