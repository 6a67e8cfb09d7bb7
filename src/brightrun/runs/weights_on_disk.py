"""Bytes of an adapter outside of memory, for each of its parameters. Time, disk and money are counted with them."""

from __future__ import annotations

CHECKPOINT_BYTES = 4 + 2 * 4
"""In a checkpoint: the parameter and AdamW's two moments in fp32. An 8-bit optimizer writes less."""
DELIVERED_BYTES = 2
"""In the delivered adapter: bf16."""
