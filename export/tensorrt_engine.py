"""How does an exported graph become a TensorRT engine?

The engine is `<graph>.<key>.engine` beside the graph, the key from card, version and graph.
Networks are strongly typed, so the precision is the graph's (export in float16). This needs
TensorRT 10.13 or later. The library is imported when an engine is built, never before.

**Not run by us**: the tests cover what needs neither TensorRT nor a card. On a machine with both,
`retimbre export MODEL --to tensorrt` builds, compares and times every engine.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.manifest import Graph

PACKAGE, OLDEST = "tensorrt", (10, 13)
CURE = "pip install tensorrt torch, with NVIDIA's driver"
TIMING_CACHE = "timing.cache"
WORKSPACE_BYTES = 4 << 30

# Axis -> least, usual and most; an axis that is not here is fixed by the family (latent frames of
# its window).
AXES: Mapping[str, tuple[int, int, int]] = {
    "B": (1, 2, 8),  # guidance doubles the windows of a call
    "L": (1, 16, 512),  # words; several prompts in a row
    "S": (3, 40, 256),
    "A": (1, 128, 512),
    "R": (1, 16, 64),  # rank of the style; none is rank 1 of zeros
    "N": (1, 160_000, 2_000_000),
}


class TensorRtError(Exception):
    """No engine; the text says why and what to do."""


@dataclass(frozen=True)
class Profile:
    """One input's shapes."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


def profiles(graph: Graph, lengths: Mapping[str, int]) -> dict[str, Profile]:
    """Shapes of every input.

    `lengths`: axes that are fixed, such as T to the frames of a window: one engine each.

    Raises TensorRtError for an axis of unknown length.
    """
    found = {}
    for name, axes, _ in graph.inputs:
        ranges = [_range(name, axis, lengths) for axis in axes]
        found[name] = Profile(*(tuple(each[index] for each in ranges) for index in range(3)))
    return found


def unavailable_reason() -> str:
    """Why engines can neither be built nor run here; empty when they can."""
    if importlib.util.find_spec(PACKAGE) is None:
        return f"not installed; {CURE}"
    if importlib.util.find_spec("torch") is None:
        return "needs torch for the card's memory; pip install 'retimbre[torch]'"
    import torch

    if not torch.cuda.is_available():
        return "torch sees no NVIDIA card"
    version = _version()
    if version < OLDEST:
        oldest, found = (".".join(map(str, each)) for each in (OLDEST, version))
        return f"expected TensorRT {oldest} or later, got {found}; {CURE}"
    return ""


def engine_path(
    onnx: Path, onnx_sha256: str, lengths: Mapping[str, int], card: str, version: str
) -> Path:
    """The file of a graph's engine for these lengths, this card and this version."""
    about = f"{onnx_sha256} {sorted(lengths.items())} {card} {version} {sorted(AXES.items())}"
    return onnx.with_name(f"{onnx.stem}.{hashlib.sha256(about.encode()).hexdigest()[:12]}.engine")


def this_machine() -> tuple[str, str]:
    """Card with compute capability, and TensorRT version, where nothing is unavailable."""
    import tensorrt
    import torch

    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()} {major}.{minor}", tensorrt.__version__


def build(
    onnx: Path,
    target: Path,
    shapes: Mapping[str, Profile],
    advance: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Write the engine of a graph, which takes minutes.

    Raises TensorRtError, also where it was cancelled; then nothing is left.
    """
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        raise TensorRtError(
            f"{onnx.name}: {_errors(parser)}; send this with `retimbre doctor --bundle`"
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.add_optimization_profile(_fill(builder.create_optimization_profile(), shapes))
    timings = onnx.with_name(TIMING_CACHE)
    cache = config.create_timing_cache(timings.read_bytes() if timings.is_file() else b"")
    config.set_timing_cache(cache, ignore_mismatch=False)
    config.progress_monitor = monitor = _monitor(trt, advance, cancelled)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = (
            "cancelled"
            if monitor.was_cancelled
            else "no engine was built; the log above has TensorRT's reasons"
        )
        raise TensorRtError(f"{onnx.name}: {reason}")
    timings.write_bytes(bytes(config.get_timing_cache().serialize()))
    partial = target.with_suffix(".part")
    partial.write_bytes(bytes(plan))
    partial.replace(target)


class Phases:
    """TensorRT's nested phases as one fraction that never goes back; tells whether to go on."""

    def __init__(self, advance: Callable[[float], None], cancelled: Callable[[], bool]) -> None:
        self._advance, self._cancelled = advance, cancelled
        self._open: list[tuple[str, int]] = []
        self._outer, self._fraction = 0, 0.0
        self.was_cancelled = False

    def begin(self, name: str, steps: int) -> None:
        self._open.append((name, steps))

    def step(self, name: str, index: int) -> bool:
        # inner phases come and go; the outer one is the work
        if self._open and self._open[0][0] == name:
            self._fraction = max(self._fraction, min(1.0, (index + 1) / max(1, self._open[0][1])))
            self._advance(self._fraction)
        self.was_cancelled = self.was_cancelled or self._cancelled()
        return not self.was_cancelled

    def end(self, name: str) -> None:
        self._open = [phase for phase in self._open if phase[0] != name]


def _monitor(trt: Any, advance: Callable[[float], None], cancelled: Callable[[], bool]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # TensorRT has no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._phases = Phases(advance, cancelled)

        @property
        def was_cancelled(self) -> bool:
            return self._phases.was_cancelled

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases.begin(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return self._phases.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            self._phases.end(phase_name)

    return Monitor()


def _fill(profile: Any, shapes: Mapping[str, Profile]) -> Any:
    for name, shape in shapes.items():
        profile.set_shape(name, shape.least, shape.usual, shape.most)
    return profile


def _range(name: str, axis: int | str, lengths: Mapping[str, int]) -> Sequence[int]:
    fixed = axis if isinstance(axis, int) else lengths.get(axis)
    if fixed is not None:
        return (fixed, fixed, fixed)
    if isinstance(axis, str) and axis in AXES:
        return AXES[axis]
    message = f"{name}: the length of its axis {axis} is unknown; fix it with --seconds"
    raise TensorRtError(message)


def _errors(parser: Any) -> str:
    return (
        "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors)) or "not read"
    )


def _version() -> tuple[int, ...]:
    import tensorrt

    return tuple(int(part) for part in tensorrt.__version__.split(".")[:2])
