"""Base and tuned side by side, one question at a time, over lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from brightrun.contract.hyperparameters import Precision
from brightrun.templating.messages import Message
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.answer import Asked, answer_prompts
from brightrun.worker.load_model import load_base


def chat_lines(model_folder: Path, adapter: Path, lines: Iterable[str], precision: Precision) -> Iterator[str]:
    """For every line `{"base": [messages], "tuned": [messages], "max_tokens": n}` one line with both answers.

    The two sides keep histories of their own, since they said different things before. The first line out is
    `{"ready": true}`.
    """
    from peft import PeftModel

    chat = load_chat_model(model_folder)
    base = load_base(model_folder, precision)
    tuned = PeftModel.from_pretrained(base.model, adapter)
    yield json.dumps({"ready": True})
    for line in lines:
        request = json.loads(line)
        answers = {}
        for side in ("base", "tuned"):
            asked = Asked(tuple(Message(entry["role"], entry["content"]) for entry in request[side]))
            if side == "base":
                with tuned.disable_adapter():
                    (answer,) = answer_prompts(base, tuned, chat, [asked], max_tokens=request["max_tokens"])
            else:
                (answer,) = answer_prompts(base, tuned, chat, [asked], max_tokens=request["max_tokens"])
            answers[side] = answer.model_dump()
        yield json.dumps(answers, ensure_ascii=False)
