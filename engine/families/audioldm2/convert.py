"""Converts foreign checkpoints to safetensors, for `retimbre models convert SRC DST`.

Only this module opens a pickle, with torch's restricted reader, which builds tensors and plain
containers and runs nothing. The training options (argparse.Namespace) in AudioMAE's pretrained.pth
are allowed by name and thrown away.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engine.families.audioldm2 import audiomae

# file names in the authors' copied_cross_attention/, and the tensors' names
_COPIED = (("_k.bin", ".to_k_ip.weight"), ("_v.bin", ".to_v_ip.weight"))
_WRAPPERS = ("model", "state_dict")


class ConvertError(ValueError):
    """A checkpoint that cannot be converted; the text says what was expected and what came."""


@dataclass(frozen=True)
class _Kind:
    """A kind of checkpoint: how its tensors' names give it away, and which tensors are written."""

    title: str
    is_it: Callable[[Mapping[str, Any]], bool]
    mapped: Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]


KINDS = (
    _Kind(
        "AudioMAE encoder",
        lambda state: "patch_embed.proj.weight" in state,
        audiomae.from_checkpoint,
    ),
    _Kind("AP-Adapter", lambda state: all(".processor.to_" in name for name in state), dict),
)


def convert(source: Path, target: Path) -> str:
    """Write `target` (safetensors) from a checkpoint or a folder with one; say what it was.

    Raises ConvertError for unknown, unsafe or broken contents and for a target that exists.
    """
    if target.suffix != ".safetensors":
        raise ConvertError(f"expected a target that ends in .safetensors, got {target.name}")
    if target.exists():
        raise ConvertError(f"{target} is there already; remove it or name another file")
    state = _unwrap(_read(source))
    kind = next((kind for kind in KINDS if state and kind.is_it(state)), None)
    if kind is None:
        shown = ", ".join(list(state)[:3]) or "nothing"
        raise ConvertError(f"{source}: expected AudioMAE's or AP-Adapter's tensors, found {shown}")
    try:
        tensors = {
            name: tensor.detach().float().contiguous()
            for name, tensor in kind.mapped(state).items()
        }
    except (ValueError, AttributeError) as error:
        raise ConvertError(f"{source}: {error}") from error
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        save_file(tensors, str(temporary), metadata={"format": "pt", "source": source.name})
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    numbers = sum(map(torch.Tensor.numel, tensors.values()))
    return f"{kind.title}, {len(tensors)} tensors, {numbers:,} numbers"


def _read(source: Path) -> Mapping[str, Any]:
    if not source.exists():
        raise ConvertError(f"{source} does not exist")
    if source.is_dir():
        return _read_folder(source)
    if source.suffix == ".safetensors":
        return load_file(str(source))
    return _read_pickle(source)


def _read_folder(folder: Path) -> Mapping[str, Any]:
    """A download from the hub, or the authors' folder with one file per projection."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return _read(folder / name)
    state = {}
    for path in sorted(folder.glob("*.processor_[kv].bin")):
        ending, new_ending = next(pair for pair in _COPIED if path.name.endswith(pair[0]))
        state[path.name.removesuffix(ending) + new_ending] = _read_pickle(path)
    if not state:
        raise ConvertError(
            f"{folder}: expected model.safetensors, pytorch_model.bin or *.processor_k.bin files "
            "in it"
        )
    return state


def _read_pickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # foreign bytes may make the reader's virtual machine raise any error
        first_line = str(error).partition("\n")[0]
        raise ConvertError(
            f"{path}: not a checkpoint that can be read without running its code: {first_line}"
        ) from error


def _unwrap(state: Any) -> Mapping[str, torch.Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping):
        raise ConvertError(f"expected a table of tensors, got {type(state).__name__}")
    return state
