"""Checks this adapter bundle on your machine: python self_test.py PATH_OR_HUB_ID_OF_THE_BASE_MODEL

Needs torch, transformers and peft. It checks every file against manifest.json, the token ids of the golden prompts,
that the adapter loads and changes the base model, and prints one answer.
"""

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def check_files() -> int:
    """Every file of the manifest is here with the bytes it was delivered with."""
    listed = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))["files"]
    for entry in listed:
        found = hashlib.sha256((HERE / entry["name"]).read_bytes()).hexdigest()
        if found != entry["sha256"]:
            sys.exit(f"FAILED: {entry['name']} is not the file that was delivered.")
    return len(listed)


def main(base: str) -> None:
    print(f"files: {check_files()} match manifest.json")

    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(HERE)
    golden = json.loads((HERE / "golden_prompts.json").read_text(encoding="utf-8"))
    for number, prompt in enumerate(golden, start=1):
        options = {"add_generation_prompt": True, "return_dict": False, **prompt.get("options", {})}
        ids = tokenizer.apply_chat_template(prompt["messages"], **options)
        if list(ids) != prompt["input_ids"]:
            sys.exit(f"FAILED: golden prompt {number} has other token ids here; check the version of transformers.")
    print(f"token ids: {len(golden)} golden prompts match")

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="auto"), HERE).eval()
    ids = torch.tensor([golden[0]["input_ids"]])
    with torch.no_grad():
        tuned = model(input_ids=ids).logits[0, -1].float()
        with model.disable_adapter():
            plain = model(input_ids=ids).logits[0, -1].float()
    difference = (tuned - plain).abs().max().item()
    if difference < 1e-3:
        sys.exit("FAILED: the adapter changes nothing; it was not loaded.")
    print(f"adapter: changes the next-token scores by up to {difference:.2f}")

    answer = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=60,
        do_sample=False,
        eos_token_id=json.loads((HERE / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"],
    )
    print("answer:", tokenizer.decode(answer[0, ids.shape[1] :], skip_special_tokens=True).strip())
    print("PASSED")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
