"""What the families on torch, transformers and diffusers share: where a repository lies, how its
parts are read, how a stage runs as a torch module, how a flow is walked, how a scene becomes a
window of latent frames.

Rule: numpy alone at the top; torch and its friends are imported where a function needs them.
Nothing is ever fetched.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.audio.region import reflected
from engine.audio.scene import Scene
from engine.errors import Cancelled, EngineError
from engine.families.registry import Stage

if TYPE_CHECKING:
    import torch

PACKAGES = ("torch", "transformers", "diffusers", "safetensors")
CURE = 'pip install "retimbre[torch]"'
INDEX = "model_index.json"

Advance = Callable[[float], None]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Missing:
    """A part that is not there: its licence, its size, and the command that gets it."""

    what: str
    size: str
    licence: str
    command: str

    def __str__(self) -> str:
        return f"{self.what} ({self.size}, {self.licence}): {self.command}"


def check_packages(family: str, packages: Iterable[str] = PACKAGES) -> None:
    """EngineError not_ready where the torch extra is not installed."""
    if absent := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise EngineError("not_ready", f"{family} needs {', '.join(absent)}; run: {CURE}")


def repository(folder: Path | None, owner: str, names: Iterable[str]) -> Path | None:
    """The first repository that is there: of the models folder, then of the hub's cache (without
    the network).
    """
    names = tuple(names)
    for name in names if folder else ():
        if (folder / name / INDEX).is_file():
            return folder / name
    return next(filter(None, (_in_hub_cache(f"{owner}/{name}") for name in names)), None)


def files_of(base: Path) -> dict[str, Path]:
    """The files of a repository that are read, by their names in it: weights (safetensors where
    there are any) and configurations.
    """
    found = {}
    for folder in sorted(path for path in base.iterdir() if path.is_dir()):
        weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
        for path in (*sorted(folder.glob("*.json")), *weights):
            found[f"{folder.name}/{path.name}"] = path
    return found


def _in_hub_cache(name: str) -> Path | None:
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, INDEX)
    return Path(path).parent if isinstance(path, str) else None


@dataclass(frozen=True)
class Part:
    """A folder of a repository. `halves`: runs in half precision where there is a graphics card."""

    field: str
    folder: str
    read: Callable[..., Any]  # (folder, **what from_pretrained takes)
    halves: bool = False


def model(package: str, name: str) -> Callable[..., Any]:
    """Reads a model of the real class; a tensor that is not in the file is an error."""

    def read(folder: Path, **options: Any) -> Any:
        kind = getattr(importlib.import_module(package), name)
        found, info = kind.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, **options
        )
        # the libraries would fill them with random numbers
        if missing := sorted(info["missing_keys"]):
            raise ValueError(f"{len(missing)} tensors are not in the file, {missing[0]} for one")
        return found

    return read


def tokenizer(name: str) -> Callable[..., Any]:
    def read(folder: Path) -> Any:
        return getattr(importlib.import_module("transformers"), name).from_pretrained(
            folder, local_files_only=True
        )

    return read


def scheduler_config(name: str) -> Callable[..., Any]:
    def read(folder: Path) -> Mapping[str, Any]:
        return getattr(importlib.import_module("diffusers"), name).load_config(
            folder, local_files_only=True
        )

    return read


def read_parts(
    title: str,
    parts: Iterable[Part],
    folder: Path,
    advance: Advance = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    half: Any = None,
) -> dict[str, Any]:
    """Every part by its field, on the CPU, in evaluation mode and without gradients.

    `half`: dtype of those that halve.

    EngineError missing_weights: a part is not there or cannot be read. Raises Cancelled between two
    parts.
    """
    found: dict[str, Any] = {}
    parts = tuple(parts)
    for index, part in enumerate(parts):
        if cancelled():
            raise Cancelled
        with _quiet():
            found[part.field] = _read(title, part, folder / part.folder, half)
        advance((index + 1) / len(parts))
    for each in found.values():
        if hasattr(each, "requires_grad_"):
            each.eval().requires_grad_(False)
    return found


def _read(title: str, part: Part, folder: Path, half: Any) -> Any:
    try:
        return part.read(folder, **({"torch_dtype": half} if half and part.halves else {}))
    except (OSError, ValueError, KeyError) as error:
        # what the libraries raise for absent, foreign or broken files
        message = (
            f"expected {title}'s {part.field} in {folder}: {error}; fetch the repository again"
        )
        raise EngineError("missing_weights", message) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and its tables of tensors that are left out on purpose."""
    from transformers.utils import logging

    before, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bar:
            logging.enable_progress_bar()


class TorchRunner:
    """A stage as a torch module: `runner(**inputs) -> tuple of outputs`, numpy in and out, as every
    runtime has it.
    """

    def __init__(self, stage: Stage, module: Any, device: str, dtype: Any = None) -> None:
        import torch

        self.stage, self.device, self.dtype = stage, device, dtype or torch.float32
        self.module = module.to(device, self.dtype)

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Outputs in the order of the stage table, in float32. EngineError out_of_memory."""
        import torch

        feed = [
            self._placed(np.asarray(inputs[port.name], port.dtype)) for port in self.stage.inputs
        ]
        try:
            with torch.inference_mode():
                answer = self.module(*feed)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            message = f"{self.stage.name} did not fit into the memory of {self.device}: {error}; close other programs"
            raise EngineError("out_of_memory", message) from error
        outputs = answer if isinstance(answer, tuple) else (answer,)
        return tuple(_as_numpy(output) for output in outputs)

    def _placed(self, values: np.ndarray) -> torch.Tensor:
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(values))
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)


def _as_numpy(output: torch.Tensor) -> np.ndarray:
    return (output.float() if output.is_floating_point() else output).cpu().numpy()


def runners(
    stages: Iterable[Stage], modules: Mapping[str, Any], device: str, dtypes: Mapping[str, Any] = {}
) -> dict[str, TorchRunner]:
    """A TorchRunner per stage; `dtypes` names stages that do not run in float32."""
    return {
        stage.name: TorchRunner(stage, modules[stage.name], device, dtypes.get(stage.name))
        for stage in stages
    }


def device() -> str:
    """Where torch computes: the graphics card if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def free(device: str) -> None:
    """Give memory back that nothing refers to any more, the graphics card's too."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


def noise_for(seed: int, channels: int, frames: int) -> np.ndarray:
    """Start of the sampling [frames, channels]; a longer region begins with the noise of a shorter
    one.
    """
    return np.random.default_rng(seed).standard_normal((frames, channels), dtype=np.float32)


def flow(
    predict: Callable[[np.ndarray, float], np.ndarray],
    latent: np.ndarray,
    scheduler: Any,
    seed: int,
    advance: Advance = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> np.ndarray:
    """The latent at the end of a scheduler's timesteps; `predict(latent, time)` gives the velocity.

    The seed is for schedulers that add noise on their way. `cancelled` is asked before every step.
    Raises Cancelled.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    place = torch.from_numpy(latent)
    for step, time in enumerate(scheduler.timesteps):
        if cancelled():
            raise Cancelled
        velocity = torch.from_numpy(predict(place.numpy(), float(time)))
        place = scheduler.step(velocity, time, place, generator=generator).prev_sample
        advance((step + 1) / len(scheduler.timesteps))
    return place.numpy()


@dataclass(frozen=True)
class Window:
    """A scene as a model of latent frames hears it.

    samples   bbbb|RRRRRRRRRRR|aaaarr     whole latent frames; r: mirrored, only where the scene is too short
    mask      0  0|1  1  1  1  0  0  0    the region begins with a frame; one that it fills in part goes on as it was
    """

    samples: np.ndarray  # [n, channels]
    region: slice  # of the samples
    mask: np.ndarray  # [latent frames]


def window_of(scene: Scene, frame_samples: int, least: int, most: int, multiple: int = 1) -> Window:
    """The window of a scene: at least `least` samples, about `most`, in a multiple of `multiple`
    latent frames.
    """
    spare = max(0, most - len(scene.region))
    after = scene.after[: max(spare // 2, spare - len(scene.before))]
    before = scene.before[max(0, len(scene.before) - (spare - len(after))) :]
    before = before[len(before) % frame_samples :]
    heard = np.concatenate([before, scene.region, after])
    step = frame_samples * multiple
    planned = -(-max(least, len(heard)) // step) * step
    first, last = len(before), len(before) + len(scene.region)
    begin, end = (
        first // frame_samples,
        last // frame_samples if len(after) else -(-last // frame_samples),
    )
    mask = np.zeros(planned // frame_samples, np.float32)
    mask[begin : max(begin + 1, end)] = 1.0
    return Window(reflected(heard, 0, planned), slice(first, last), mask)


def part_of(progress: Progress, stage: str, begin: float, end: float) -> Advance:
    """A part of the job's fraction for one stage."""
    progress(stage, begin)
    return lambda done: progress(stage, begin + (end - begin) * done)
