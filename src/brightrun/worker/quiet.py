"""The environment a run needs before torch is imported: no calls home, no spinning threads."""

from __future__ import annotations

import logging
import os
import warnings

_DEFAULTS = {
    # Two spinning OpenMP threads fight on small machines: 7 to 10 times slower (measured, see benchmarks/README.md).
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}
_OFFLINE = {
    # A run reads only the files its spec names; libraries must not ask a hub or report to one.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "WANDB_MODE": "disabled",
}


def prepare_environment() -> None:
    """Set the variables above. Call it before anything imports torch: OpenMP reads its policy once, at load."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ.update(_OFFLINE)


def hush_libraries() -> None:
    """Let libraries speak only of errors: the event log is what a run says."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in ("bitsandbytes", "trl", "peft", "accelerate", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate|torch)\b.*")
