"""The bundle's tokenizer opens in transformers 4 and 5, with the ids we trained under, whatever wrote the base's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.templating.messages import Message
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.bundle import write_companions

pytestmark = [pytest.mark.worker, pytest.mark.slow]

# The last transformers 4, and what it needs of its own: the others are those of this environment.
TRANSFORMERS_4 = ("transformers==4.57.6", "tokenizers==0.22.2", "huggingface-hub==0.36.2")
PROMPTS = [
    (Message("system", "Keep calm."), Message("user", "Café at five? 🥐")),
    (Message("user", "He fell."), Message("assistant", "Who is with him?", trained=True), Message("user", "Nobody.")),
]
ASK = """
import json, sys
import transformers
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
golden = json.load(open(sys.argv[1] + "/golden_prompts.json", encoding="utf-8"))
ids = [
    list(tokenizer.apply_chat_template(each["messages"], add_generation_prompt=True, return_dict=False))
    for each in golden
]
print(json.dumps({
    "version": transformers.__version__, "ids": ids, "pad": tokenizer.pad_token_id, "eos": tokenizer.eos_token_id,
    "text": tokenizer("Café at five? 🥐", add_special_tokens=False).input_ids,
}))
"""


@pytest.fixture(scope="session")
def transformers_4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with transformers 4, for a process of its own."""
    folder = tmp_path_factory.mktemp("transformers-4")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *TRANSFORMERS_4]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"transformers 4 cannot be installed here: {done.stderr[-300:]}")
    return folder


def opened(bundle: Path, library: Path | None) -> dict[str, Any]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    if library is not None:
        environment["PYTHONPATH"] = str(library)
    command = [sys.executable, "-c", ASK, str(bundle)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


WRITTEN_BY = {
    "version 5": {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "is_local": True},
    "version 5, with a list of its strings": {
        "tokenizer_class": "TokenizersBackend",
        "extra_special_tokens": ["<|start_header_id|>", "<|end_header_id|>"],
    },
    "a class named after the model": {"tokenizer_class": "LlamaTokenizerFast"},
    "nobody": {"tokenizer_class": None},
}


@pytest.mark.parametrize("writer", WRITTEN_BY)
def test_the_bundle_opens_in_both_with_the_ids_we_trained_under(
    writer: str, tmp_path: Path, tiny_model: Path, transformers_4: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny_model, source)
    (source / "brightrun-model.json").unlink()
    path = source / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | WRITTEN_BY[writer]
    config["pad_token"] = config["eos_token"]
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}), encoding="utf-8")
    model = pull_from_folder(source, tmp_path / "models", name="pulled-by-path", license="Apache-2.0").folder
    chat = load_chat_model(model)
    bundle = tmp_path / "bundle"
    bundle.mkdir()

    write_companions(bundle, model_folder=model, chat=chat, prompts=PROMPTS)

    four, five = opened(bundle, transformers_4), opened(bundle, None)
    assert four["version"].startswith("4.")
    assert five["version"] == metadata.version("transformers")
    wanted = [each["input_ids"] for each in json.loads((bundle / "golden_prompts.json").read_text(encoding="utf-8"))]
    assert four["ids"] == five["ids"] == wanted
    assert four["text"] == five["text"]
    assert four["pad"] == five["pad"] == chat.pad_id
    assert chat.pad_id not in {*chat.stop_ids, four["eos"]}
