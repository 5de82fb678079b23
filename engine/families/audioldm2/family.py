"""AudioLDM2 as a model family: which files, device and adapter does a job use?

`load` finds the files, `warm_up` reads them. That takes minutes from a slow disk, so it can be
cancelled and reports progress. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.adapters.manager import AdapterManager
from engine.audio.region import ModelOutput, ModelPort
from engine.errors import EngineError
from engine.families.audioldm2.weights import AUDIOMAE, AudioLdm2Weights
from engine.families.registry import PreparedJob
from engine.families.shared.torch_runner import free_memory, pick_device
from engine.families.shared.weights import files_of
from engine.knobs import Knobs
from engine.progress import IsCancelled, Progress, ignore_progress, never_cancelled
from presets.style import ResolvedStyle, StyleTensor

if TYPE_CHECKING:
    from engine.families.audioldm2.audiomae import AudioMae
    from engine.families.audioldm2.components import Components
    from engine.families.audioldm2.editor import Editor

SAMPLE_RATE_HZ = 16_000
MAX_SECONDS = 120.0
DEFAULTS: Mapping[str, Any] = {  # the paper's for timbre transfer and accompaniment
    "strength": 0.5,
    "pooling": 2,
    "guidance": 7.5,
    "guidance_from": 0.0,
    "guidance_to": 1.0,
    "negative": "",
    "steps": 50,
    "seed": -1,
}
DUET = (
    "accompaniment: this model draws the whole duet anew, your part with it; the stem is no "
    "separate accompaniment, so mute the source where you use it"
)


def missing(models: Path | None = None) -> str:
    """Why audioldm2 cannot serve, with the commands that mend it; empty when it can."""
    return AudioLdm2Weights(models).unavailable_reason()


def defaults() -> Mapping[str, Any]:
    """Knob values where neither the client nor the preset says anything."""
    return DEFAULTS


def load(threads: int, models: Path | None = None) -> AudioLdm2Family:
    """The family on its files, which `warm_up` reads. EngineError not_ready, missing_weights."""
    AudioLdm2Weights(models).check(brings_adapter=True)
    return AudioLdm2Family(AudioLdm2Weights(models), threads)


@dataclass(frozen=True)
class PreparedTransfer(PreparedJob):
    """A job with the scale of its audio prompt."""

    alpha: float


class AudioLdm2Family:
    """AudioLDM2, AudioMAE and one AP-Adapter at a time."""

    runtime = "torch"

    def __init__(self, weights: AudioLdm2Weights, threads: int) -> None:
        self.weights, self.threads = weights, threads
        self.device = pick_device()
        self._base = weights.base()
        self._editor: Editor | None = None
        self._components: Components | None = None
        self._adapter: Path | None = None  # the AP-Adapter in the UNet
        self._adapters: AdapterManager | None = None  # of the UNet
        self._prompts: tuple[StyleTensor, ...] = ()  # soft prompts

    def files(self) -> dict[str, Path]:
        """The files that determine the stem."""
        parts = {AUDIOMAE: self.weights.find(AUDIOMAE), "adapter": self._adapter}
        adapters = self._adapters.active.files() if self._adapters else {}
        paths = [Path(file.path) for file in self._prompts]
        words = {f"words {path.name}": path for path in paths}
        found = {name: path for name, path in parts.items() if path}
        return {**files_of(self._base), **found, **adapters, **words}

    def warm_up(
        self, cancelled: IsCancelled = never_cancelled, progress: Progress = ignore_progress
    ) -> None:
        """Read every part, once.

        Raises Cancelled between two parts; EngineError missing_weights.
        """
        if self._editor is not None:
            return
        import torch

        from engine.adapters.modules import ModuleAdapterManager
        from engine.families.audioldm2 import audiomae, components

        progress("loading", -1.0)
        torch.set_num_threads(self.threads)
        found = components.load(self._base, cancelled=cancelled)
        self._editor = build_editor(found, audiomae.read(self.weights.audiomae()), self.device)
        self._components, self._adapters = found, ModuleAdapterManager(found.unet.unet)

    @property
    def editor(self) -> Editor:
        """The loaded stages. Call `warm_up` before."""
        assert self._editor is not None, "warm_up comes first"
        return self._editor

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> PreparedTransfer:
        """Put the style's AP-Adapter (or the folder's) and its adapters into the UNet.

        EngineError missing_weights, bad_preset.
        """
        from engine.families.audioldm2.sampler import scheduler_for

        audio, learned = _split_by_kind(style.adapters)
        path, weight = _adapter_of(audio)
        path = path or self.weights.adapter()
        if path != self._adapter:
            self._load_adapter(path)
        notes = [
            f"sampler: {scheduler_for(knobs.steps).name}, {knobs.steps} steps; adapter: {path.name}"
        ]
        assert self._adapters is not None, "warm_up comes first"
        notes += self._adapters.set_adapters(learned).notes
        self._set_soft_prompts(style.soft_prompts)
        notes += [DUET] if style.task == "accompaniment" else []
        cut = [
            text
            for text, _ in (*knobs.prompts, (knobs.negative, 1.0))
            if self.editor.text.is_cut(text)
        ]
        notes += [f"text: only the beginning of {text!r:.60} was read" for text in cut]
        return PreparedTransfer(knobs, tuple(notes), knobs.strength * weight)

    def port(self, job: PreparedTransfer, progress: Progress, cancelled: IsCancelled) -> ModelPort:
        """The model for the region contract: mono at 16 kHz, in windows of 10.24 s."""
        editor = self.editor
        return ModelPort(
            SAMPLE_RATE_HZ,
            run=lambda mono: ModelOutput(
                editor.transfer(mono, job.knobs, job.alpha, progress, cancelled)
            ),
            window_samples=editor.window_samples,
            max_seconds=MAX_SECONDS,
        )

    def close(self) -> None:
        """Free the memory, the graphics card's too."""
        self._editor = self._components = self._adapter = self._adapters = None
        free_memory(self.device)

    def _set_soft_prompts(self, files: tuple[StyleTensor, ...]) -> None:
        """Use the style's soft prompts, mixed where there are several."""
        from engine.adapters.soft_prompts import mix, read_soft_prompt

        if files != self._prompts:
            text = self.editor.text
            parts = [(read_soft_prompt(Path(file.path), text.width), file.weight) for file in files]
            text.learn(mix(parts))
            self._prompts = files

    def _load_adapter(self, path: Path) -> None:
        from safetensors import SafetensorError

        from engine.families.audioldm2.ap_adapter import read_adapter

        assert self._components is not None, "warm_up comes first"
        self._adapter = None
        try:
            self._components.unet.load_adapter(*read_adapter(path))
        except (OSError, SafetensorError, ValueError) as error:
            raise EngineError(
                "bad_preset", f"{path} is no AP-Adapter for {self._base.name}: {error}"
            ) from error
        self._adapter = path


def _split_by_kind(files: Iterable[StyleTensor]) -> tuple[list[StyleTensor], list[StyleTensor]]:
    """A style's files: AP-Adapters, and adapters of the UNet's own layers."""
    from engine.families.audioldm2.ap_adapter import is_adapter

    kinds: tuple[list[StyleTensor], list[StyleTensor]] = ([], [])
    for file in files:
        kinds[not is_adapter(Path(file.path))].append(file)
    return kinds


def _adapter_of(files: Sequence[StyleTensor]) -> tuple[Path | None, float]:
    """The one AP-Adapter that a style names, and its weight; a blend may name it several times."""
    paths = {file.path for file in files}
    if len(paths) > 1:
        message = (
            f"audioldm2 takes one AP-Adapter at a time, the preset brings {len(paths)}; "
            "blend the words instead"
        )
        raise EngineError("bad_preset", message)
    return (Path(paths.pop()), sum(file.weight for file in files)) if paths else (None, 1.0)


def build_editor(components: Components, audio_encoder: AudioMae, device: str) -> Editor:
    """The editor on torch runners.

    The UNet runs in half precision on a graphics card, as in the reference; the rest is float32.
    """
    import torch

    from engine.families.audioldm2 import graphs
    from engine.families.audioldm2.editor import Editor, Sizes, vocoder_reach
    from engine.families.audioldm2.learned import LearnedText

    dtypes = {"unet": torch.float16} if device.startswith("cuda") else {}
    sizes = Sizes(
        latent=components.latent_shape,
        frames_per_latent=components.frames_per_latent,
        samples_per_latent=components.samples_per_latent,
        audio_grid=audio_encoder.grid,
        time_width=components.unet.unet.config.block_out_channels[0],
        vocoder_reach=vocoder_reach(components.vocoder.config),
    )
    if sizes.mel_windows.frames != audio_encoder.frames:
        expected, found = sizes.mel_windows.frames, audio_encoder.frames
        message = (
            f"AudioMAE hears {found} frames, AudioLDM2 makes {expected}; "
            "fetch the files that belong together"
        )
        raise EngineError("missing_weights", message)
    runners = graphs.runners(graphs.modules(components, audio_encoder), device, dtypes)
    text = LearnedText(
        runners, components.clap_tokenizer, components.t5_tokenizer, components.t5.config.d_model
    )
    return Editor(runners, text, components.scheduler_config, sizes)
