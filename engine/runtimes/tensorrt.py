"""A stage in a TensorRT engine: the same call as every runner, the card's memory in torch's hands.

For each set of input shapes the call is captured once as a CUDA graph and replayed: a step of many
small kernels costs one launch. **Not run by us** (see export/tensorrt_engine.py): no card, no
library.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.runtimes.runner import Runner
from engine.stages import Stage
from export import tensorrt_engine
from export.lora_inputs import RANK_AXIS
from export.tensorrt_engine import Profile


def find(onnx: Path, onnx_sha256: str, lengths: Mapping[str, int]) -> Path | None:
    """The engine that was built of this graph for this machine, if it can run here."""
    if not any(onnx.parent.glob("*.engine")) or _unavailable_reason():
        return None
    path = tensorrt_engine.engine_path(onnx, onnx_sha256, lengths, *tensorrt_engine.this_machine())
    return path if path.is_file() else None


@functools.lru_cache(maxsize=1)
def _unavailable_reason() -> str:
    return tensorrt_engine.unavailable_reason()


class TensorRtRunner:
    """An engine with its context. One thread at a time.

    Shapes outside its profile go to `otherwise`.
    """

    def __init__(
        self, stage: Stage, path: Path, shapes: Mapping[str, Profile], otherwise: Runner
    ) -> None:
        self.stage, self.path = stage, path
        self._shapes, self._otherwise = shapes, otherwise
        self._context: Any = None
        self._captured: dict[tuple, tuple[dict[str, Any], dict[str, Any], Any]] = {}

    def load(self) -> None:
        """Read the engine. EngineError model_damaged: it is not this version's or this card's."""
        if self._context is not None:
            return
        import tensorrt as trt

        runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        engine = runtime.deserialize_cuda_engine(self.path.read_bytes())
        if engine is None:
            message = (
                f"{self.path} is no engine for this card; delete it and run retimbre export again"
            )
            raise EngineError("model_damaged", message)
        self._keep = runtime, engine
        self._context = engine.create_execution_context()

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Outputs in the order of the stage table."""
        import torch

        feed = prepare_feed(self.stage, inputs)
        if not fits(feed, self._shapes):
            return self._otherwise(**inputs)
        self.load()
        key = tuple(values.shape for values in feed.values())
        if key not in self._captured:
            self._captured[key] = self._capture(feed)
        placed, answers, graph = self._captured[key]
        for name, values in feed.items():
            placed[name].copy_(torch.from_numpy(values), non_blocking=True)
        graph.replay()
        torch.cuda.current_stream().synchronize()
        return tuple(answers[name].cpu().numpy() for name in self.stage.output_names)

    def _capture(
        self, feed: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """Buffers of these shapes, and the call on them as a CUDA graph."""
        import torch

        placed = {name: torch.from_numpy(values).cuda() for name, values in feed.items()}
        for name, tensor in placed.items():
            assert self._context.set_input_shape(name, tuple(tensor.shape)), (
                f"{name} lies in the profile"
            )
        kinds = {port.name: getattr(torch, port.dtype) for port in self.stage.outputs}
        answers = {
            name: torch.empty(
                tuple(self._context.get_tensor_shape(name)), dtype=kind, device="cuda"
            )
            for name, kind in kinds.items()
        }
        for name, tensor in (*placed.items(), *answers.items()):
            self._context.set_tensor_address(name, tensor.data_ptr())
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream):  # once outside: the first call of a shape allocates
            self._context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream)
        return placed, answers, graph


def fits(feed: Mapping[str, np.ndarray], shapes: Mapping[str, Profile]) -> bool:
    """Whether all inputs lie within the engine's profile."""
    return all(
        all(
            least <= size <= most
            for least, size, most in zip(shape.least, feed[name].shape, shape.most, strict=True)
        )
        for name, shape in shapes.items()
    )


def prepare_feed(stage: Stage, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs of the table's names and types.

    LoRA of rank 0 becomes zeros of rank 1, because engines take no empty inputs.
    """
    feed = {}
    for port in stage.inputs:
        values = np.ascontiguousarray(inputs[port.name], port.dtype)
        if RANK_AXIS in port.axes and not values.shape[port.axes.index(RANK_AXIS)]:
            shape = [1 if axis == RANK_AXIS else int(axis) for axis in port.axes]
            values = np.zeros(shape, port.dtype)
        feed[port.name] = values
    return feed
