"""Learned styles on a torch model: put on, blended, changed and taken off while the model stays
loaded.

    lora        peft's LoRA, rsLoRA, DoRA        W x + w s B A x          several at once: exactly the sum
    bottleneck  small networks after blocks      h + w up(relu(down(h)))
    prefix      learned states before the words  softmax(q [k_prefix, k]), a weight w counts as log w on its scores
    full        all weights                      W0 + w (W1 - W0)

One file a style: safetensors, what it is in the header. Training makes these same objects, so that
what plays is what was learned.
Rule 1: a file that matches nothing raises; nothing is ever put on by half.
Rule 2: torch and peft live here; nothing that serves imports this folder before a style is worn.
One thread at a time.
"""

from engine.adapters.files import Style, is_style, read_style, write_style
from engine.adapters.kinds import Attachment, Bottleneck, Full, Lora, Prefix
from engine.adapters.manager import Rack, attach

__all__ = [
    "Attachment",
    "Bottleneck",
    "Full",
    "Lora",
    "Prefix",
    "Rack",
    "Style",
    "attach",
    "is_style",
    "read_style",
    "write_style",
]
