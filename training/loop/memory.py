"""What a run will need: weights and optimiser counted, activations measured on one clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

GIB = 2**30
ADAM_BYTES = 8  # two float32 moments a number
RESERVE = 1.2  # kernels' workspaces and fragments


class Estimate(NamedTuple):
    """Bytes."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    free: int

    @property
    def needed(self) -> int:
        """Beside the weights, which are loaded already."""
        return int(RESERVE * (self.gradients + self.optimiser + self.activations))

    def __str__(self) -> str:
        parts = (
            f"{name} {getattr(self, name) / GIB:.2f}"
            for name in ("weights", "gradients", "optimiser")
        )
        fits = (
            "fits"
            if self.needed <= self.free
            else "does NOT fit: use --checkpointing, a smaller --batch, or qlora"
        )
        return (
            f"memory in GiB: {', '.join(parts)}, activations {self.activations / GIB:.2f}; "
            f"{self.needed / GIB:.2f} more are needed, {self.free / GIB:.2f} are free: {fits}"
        )


def estimate(
    module: nn.Module,
    trained: Mapping[str, nn.Parameter],
    loss_of_one: Callable[[], Tensor],
    batch: int,
    device: str,
) -> Estimate:
    """`loss_of_one`: the loss of a batch of one; its saved tensors times `batch`."""
    numbers = sum(parameter.numel() for parameter in trained.values())
    gradients = sum(parameter.numel() * parameter.element_size() for parameter in trained.values())
    weights = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    known = {parameter.data_ptr() for parameter in module.parameters()}
    return Estimate(
        weights,
        gradients,
        ADAM_BYTES * numbers,
        batch * _activation_bytes(loss_of_one, known),
        _free_bytes(device),
    )


def _activation_bytes(loss: Callable[[], Tensor], known: set[int]) -> int:
    """Bytes that autograd keeps of one forward pass, without the model's own weights."""
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss()
    return sum(found.values())


def _free_bytes(device: str) -> int:
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info()[0]
    import psutil  # type: ignore[import-untyped]  # no stubs among the dependencies

    return psutil.virtual_memory().available
