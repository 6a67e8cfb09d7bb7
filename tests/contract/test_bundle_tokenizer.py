"""The bundle's tokenizer opens in transformers 4 and 5, with the ids we trained under, whatever wrote the base's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.messages import Message
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.answer import Asked
from brightrun.worker.bundle import write_companions
from brightrun.worker.convert_gguf import make_portable
from tests.unit.tiny_chat_model import CHATML, CHATML_CONFIG, write_model

pytestmark = [pytest.mark.worker, pytest.mark.slow]

# The last transformers 4, and what it needs of its own: the others are those of this environment.
TRANSFORMERS_4 = ("transformers==4.57.6", "tokenizers==0.22.2", "huggingface-hub==0.36.2")
PROMPTS = [
    (Message("system", "Keep calm."), Message("user", "Café at five? 🥐")),
    (Message("user", "He fell."), Message("assistant", "Who is with him?", trained=True), Message("user", "Nobody.")),
]
TEXTS = ("Café at five? 🥐", "Hello!!  it 's , you!\n\n  <|eot_id|> x", "!", "")
ASK = """
import json, sys
import transformers
from transformers import AutoTokenizer
texts, answers = json.loads(sys.argv[1]), []
for folder in sys.argv[2:]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    golden = json.load(open(folder + "/golden_prompts.json", encoding="utf-8"))
    ids = [
        list(tokenizer.apply_chat_template(each["messages"], add_generation_prompt=True, return_dict=False))
        for each in golden
    ]
    answers.append({
        "ids": ids, "pad": tokenizer.pad_token_id, "eos": tokenizer.eos_token_id, "bos": tokenizer.bos_token_id,
        "size": len(tokenizer), "decoded": tokenizer.decode(ids[0]),
        "text": [tokenizer(text, add_special_tokens=False).input_ids for text in texts],
        "opened_text": [tokenizer(text).input_ids for text in texts],
    })
print(json.dumps({"version": transformers.__version__, "answers": answers}))
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


def answered(script: str, *arguments: str, library: Path | None) -> dict[str, Any]:
    """What a script prints as JSON under the transformers of that folder, or under this environment's."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    if library is not None:
        environment["PYTHONPATH"] = str(library)
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def written(folder: Path, model: Path) -> tuple[Path, ChatModel]:
    """The companions of a bundle for that model, and the model's own way with messages."""
    chat = load_chat_model(model)
    bundle = folder / "bundle"
    bundle.mkdir()
    write_companions(bundle, model_folder=model, chat=chat, prompts=[Asked(messages) for messages in PROMPTS])
    return bundle, chat


def assert_alike(transformers_4: Path, *bundles: Path) -> list[dict[str, Any]]:
    """Both versions open each bundle with the ids of tokenizer.json and of its golden prompts, and add no token."""
    asked = (json.dumps(TEXTS), *map(str, bundles))
    four, five = (answered(ASK, *asked, library=library) for library in (transformers_4, None))
    assert four["version"].startswith("4.")
    assert five["version"] == metadata.version("transformers")
    assert four["answers"] == five["answers"]
    for bundle, found in zip(bundles, four["answers"], strict=True):
        plain = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        golden = json.loads((bundle / "golden_prompts.json").read_text(encoding="utf-8"))
        assert found["ids"] == [each["input_ids"] for each in golden], bundle
        assert found["text"] == [plain.encode(text, add_special_tokens=False).ids for text in TEXTS], bundle
        assert found["opened_text"] == [plain.encode(text).ids for text in TEXTS], bundle
        assert found["size"] == plain.get_vocab_size(), bundle
    found_in: list[dict[str, Any]] = four["answers"]
    return found_in


WRITTEN_BY = {
    "version 5": {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "is_local": True},
    "version 5, with a list of its strings": {
        "tokenizer_class": "TokenizersBackend",
        "extra_special_tokens": ["<|start_header_id|>", "<|end_header_id|>"],
    },
    "a class named after the model": {"tokenizer_class": "LlamaTokenizerFast"},
    "nobody": {"tokenizer_class": None},
}


def test_the_bundle_opens_in_both_with_the_ids_we_trained_under(
    tmp_path: Path, tiny_model: Path, transformers_4: Path
) -> None:
    bundles, chats = [], []
    for writer, settings in WRITTEN_BY.items():
        source = tmp_path / writer / "source"
        shutil.copytree(tiny_model, source)
        (source / "brightrun-model.json").unlink()
        path = source / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8")) | settings
        config["pad_token"] = config["eos_token"]
        given = {key: value for key, value in config.items() if value is not None}
        path.write_text(json.dumps(given), encoding="utf-8")
        pulled = pull_from_folder(source, tmp_path / writer / "models", name="pulled-by-path", license="Apache-2.0")
        bundle, chat = written(tmp_path / writer, pulled.folder)
        bundles.append(bundle)
        chats.append(chat)

    for chat, found in zip(chats, assert_alike(transformers_4, *bundles), strict=True):
        assert found["pad"] == chat.pad_id
        assert chat.pad_id not in {*chat.stop_ids, found["eos"]}


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


UNKNOWN = {"content": "<|new|>", "special": True, "lstrip": False, "rstrip": False, "normalized": False}
NAMED_BUT_NOT_THERE: dict[str, dict[str, Any]] = {
    "a token": {"unk_token": "<unk>", "pad_token": "[PAD]", "mask_token": UNKNOWN},
    "a list of version 5": {"extra_special_tokens": ["<|new|>", "<|eot_id|>"]},
    "a list of version 4": {"additional_special_tokens": [UNKNOWN, "<|eot_id|>"]},
    "named ones": {"extra_special_tokens": {"image_token": "<|new|>", "turn_token": "<|eot_id|>"}},
    "an id of its own": {"added_tokens_decoder": {"900": UNKNOWN}},
}


def test_a_token_that_the_model_has_no_row_for_is_not_added(tmp_path: Path, transformers_4: Path) -> None:
    bundles = []
    for place, settings in NAMED_BUT_NOT_THERE.items():
        model = write_model(tmp_path / place / "model", CHATML, CHATML_CONFIG | settings)
        bundle, _ = written(tmp_path / place, model)
        config = (bundle / "tokenizer_config.json").read_text(encoding="utf-8")
        assert "<|new|>" not in config, place
        assert ("<|eot_id|>" in config) is ("<|eot_id|>" in json.dumps(settings)), place
        bundles.append(bundle)

    assert_alike(transformers_4, *bundles)


def test_a_space_that_the_tokenizer_writes_before_a_text_stays(tmp_path: Path, transformers_4: Path) -> None:
    model = write_model(tmp_path / "model", CHATML, CHATML_CONFIG)
    changed(model / "tokenizer.json", lambda content: content["pre_tokenizer"].update(add_prefix_space=True))

    bundle, _ = written(tmp_path, model)

    assert_alike(transformers_4, bundle)


def test_without_a_control_token_to_spare_no_plain_one_becomes_padding(tmp_path: Path, transformers_4: Path) -> None:
    """A token that is named as padding is split off texts, so `Hello!!` would get other ids with `!` as padding."""
    model = write_model(tmp_path / "model", CHATML, CHATML_CONFIG)
    plain = Tokenizer(BPE())
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    plain.train_from_iterator(["Hello!! you!!"] * 9, trainer)
    plain.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    plain.save(str(model / "tokenizer.json"))

    bundle, chat = written(tmp_path, model)

    (found,) = assert_alike(transformers_4, bundle)
    assert (chat.pad, found["pad"]) == (None, None)
    generation = json.loads((bundle / "generation_config.json").read_text(encoding="utf-8"))
    assert generation["pad_token_id"] == chat.pad_id
    assert chat.pad_id not in chat.stop_ids


def test_a_converted_model_is_the_same_in_both(tmp_path: Path, tiny_model: Path, transformers_4: Path) -> None:
    """Version 5 saves the rotary embedding's base where 4 does not look, and a tokenizer class that 4 does not know."""
    from transformers import AutoTokenizer, LlamaConfig

    folder = tmp_path / "converted"
    LlamaConfig(rope_parameters={"rope_type": "default", "rope_theta": 100_000.0}).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    assert "TokenizersBackend" in (folder / "tokenizer_config.json").read_text(encoding="utf-8")

    make_portable(folder)

    ask = """
import json, sys
from transformers import AutoConfig, AutoTokenizer
config = AutoConfig.from_pretrained(sys.argv[1])
rope = getattr(config, "rope_theta", None) or config.rope_parameters["rope_theta"]
print(json.dumps({"rope": rope, "ids": AutoTokenizer.from_pretrained(sys.argv[1])(sys.argv[2]).input_ids}))
"""
    four, five = (answered(ask, str(folder), TEXTS[0], library=library) for library in (transformers_4, None))
    assert four == five
    assert four["rope"] == 100_000
