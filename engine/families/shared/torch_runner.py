"""How does a stage run as a torch module?"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import EngineError
from engine.stages import Stage

if TYPE_CHECKING:
    import torch


class TorchRunner:
    """`runner(**inputs) -> tuple of outputs`, numpy in and out, as every runtime has it."""

    def __init__(self, stage: Stage, module: Any, device: str, dtype: Any = None) -> None:
        import torch

        self.stage, self.device, self.dtype = stage, device, dtype or torch.float32
        self.module = module.to(device, self.dtype)

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Outputs in the order of the stage table, in float32. EngineError out_of_memory."""
        import torch

        feed = [
            self._to_tensor(np.asarray(inputs[port.name], port.dtype)) for port in self.stage.inputs
        ]
        try:
            with torch.inference_mode():
                answer = self.module(*feed)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            message = f"{self.stage.name} did not fit into the memory of {self.device}: {error}"
            raise EngineError("out_of_memory", f"{message}; close other programs") from error
        outputs = answer if isinstance(answer, tuple) else (answer,)
        return tuple(_to_numpy(output) for output in outputs)

    def _to_tensor(self, values: np.ndarray) -> torch.Tensor:
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(values))
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)


def _to_numpy(output: torch.Tensor) -> np.ndarray:
    return (output.float() if output.is_floating_point() else output).cpu().numpy()


def build_runners(
    stages: Iterable[Stage], modules: Mapping[str, Any], device: str, dtypes: Mapping[str, Any] = {}
) -> dict[str, TorchRunner]:
    """A TorchRunner for each stage; `dtypes` names the stages that do not run in float32."""
    return {
        stage.name: TorchRunner(stage, modules[stage.name], device, dtypes.get(stage.name))
        for stage in stages
    }


def check_modules(
    stages: Iterable[Stage], modules: Mapping[str, torch.nn.Module]
) -> dict[str, torch.nn.Module]:
    """The modules in evaluation mode, exactly one for each row of a stage table."""
    assert set(modules) == {stage.name for stage in stages}
    return {name: module.eval() for name, module in modules.items()}


def pick_device() -> str:
    """Where torch computes: the graphics card if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def free_memory(device: str) -> None:
    """Give back memory that nothing refers to, the graphics card's too."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
