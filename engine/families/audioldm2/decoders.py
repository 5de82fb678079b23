"""Runs VAE decoder and vocoder in bfloat16 by torch, beside graphs in int8.

Both consist of convolutions, for which ONNX Runtime's int8 is too coarse and which it cannot
compute in bfloat16 on a processor. docs/export.md has the figures.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.families.audioldm2.stages import STAGES

if TYPE_CHECKING:
    from engine.families.shared.torch_runner import TorchRunner

HALVED = ("vae_decoder", "vocoder")
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # without them, bfloat16 is slower than float32


def is_quick() -> bool:
    """Whether this processor has an instruction for bfloat16, as far as torch can tell."""
    import torch

    capabilities: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in INSTRUCTIONS)


def runners(modules: Mapping[str, Any]) -> dict[str, TorchRunner]:
    """Runners of copies of `graphs`' modules, by stage."""
    import torch

    from engine.families.shared.torch_runner import TorchRunner

    rows = {stage.name: stage for stage in STAGES}
    return {
        name: TorchRunner(rows[name], copy.deepcopy(modules[name]), "cpu", torch.bfloat16)
        for name in HALVED
    }


def read(base: Path, threads: int) -> dict[str, TorchRunner]:
    """The same from a repository's own files. EngineError missing_weights."""
    import torch

    from engine.families.audioldm2 import components, graphs
    from engine.families.shared.pretrained import read_parts

    torch.set_num_threads(threads)
    wanted = [part for part in components.PARTS if part.field in ("vae", "vocoder")]
    found = read_parts("AudioLDM2", wanted, base)
    return runners(
        {
            "vae_decoder": graphs.VaeDecoder(found["vae"]),
            "vocoder": graphs.Vocoder(found["vocoder"]),
        }
    )
