"""nano as the registry wants a family: its files, its defaults, and its port for a job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine import knobs as knob_table
from engine.arranging.wording import Intent, parse_intent
from engine.audio.region import ModelOutput, ModelPort
from engine.errors import Cancelled, EngineError
from engine.families.nano import features as F
from engine.families.nano.adapters import NanoAdapters
from engine.families.nano.arranged_edit import ArrangedEdit
from engine.families.nano.editor import NanoEditor
from engine.families.nano.sampler import plan_frames
from engine.families.nano.stages import STAGES
from engine.families.registry import PreparedJob
from engine.knobs import Knobs
from engine.progress import IsCancelled, Progress, ignore_progress, never_cancelled
from engine.runtimes import providers
from engine.runtimes.runner import REINSTALL, OnnxRunner, Runner
from presets.style import ResolvedStyle

WEIGHTS = Path(__file__).parent / "weights"
TOKENIZER, CONFIG = "tokenizer.json", "config.json"
SERVING_STAGES = ("text_encoder", "audio_encoder", "denoiser", "latent_decoder")
DEFAULTS: Mapping[str, Any] = {
    "strength": 1.0,
    "pooling": 1,
    "fidelity": 1.0,
    "guidance": 1.8,
    "guidance_from": 0.0,
    "guidance_to": 1.0,
    "negative": "",
    "steps": 4,
    "seed": -1,
    "stems": "",
    "tempo": 0.0,
}
MAX_TEXT_TOKENS = 64
MAX_SECONDS = 600.0


def missing(models: Path | None = None) -> str:
    """Why nano cannot be loaded, in words; empty when it can.

    Its weights come with the package, so the models folder does not matter.
    """
    return missing_in(WEIGHTS)


def missing_in(folder: Path) -> str:
    """What a folder of weights lacks, in words; empty when everything is there."""
    names = [CONFIG, TOKENIZER, *(f"{stage}.onnx" for stage in SERVING_STAGES)]
    absent = [name for name in names if not (folder / name).is_file()]
    if not absent:
        return ""
    return (
        f"expected nano's weights in {folder}, {', '.join(absent)} not found; "
        "install retimbre again from a full clone"
    )


def defaults() -> Mapping[str, Any]:
    """Knob values of the shipped weights: DEFAULTS, overridden by what their config.json says."""
    try:
        return {
            **DEFAULTS,
            **json.loads((WEIGHTS / CONFIG).read_text(encoding="utf-8")).get("defaults", {}),
        }
    except (OSError, ValueError):  # `load` says what is wrong with it
        return DEFAULTS


def load(threads: int, models: Path | None = None) -> NanoFamily:
    """The shipped weights. EngineError not_ready."""
    return NanoFamily.load(None, threads)


@dataclass(frozen=True)
class PreparedEdit(PreparedJob):
    """A job with what its words ask for, and the learned prompts that go before them."""

    intent: Intent
    prompts: tuple[tuple[str, float], ...]


class NanoFamily:
    """nano, loaded. The constructor takes finished parts, `load` takes them from a folder."""

    device = "cpu"

    def __init__(
        self,
        runners: Mapping[str, Runner],
        tokenizer: Any,
        config: Mapping[str, Any],
        folder: Path | None = None,
    ) -> None:
        self.config, self.folder = config, folder
        self.runtime = providers.current().title
        self.defaults: Mapping[str, Any] = {**DEFAULTS, **config.get("defaults", {})}
        self._adapters = NanoAdapters()
        self.editor = NanoEditor(dict(runners), tokenizer, self._adapters.tokens)

    @classmethod
    def load(cls, folder: Path | str | None = None, threads: int = 1) -> NanoFamily:
        """From a folder with config.json, tokenizer.json and `<stage>.onnx`; None: as shipped.

        The graphs themselves are read at their first use or by `warm_up`, and must be those that
        config.json names. EngineError not_ready, model_damaged.
        """
        folder = Path(folder) if folder else WEIGHTS
        if reason := missing_in(folder):
            raise EngineError("not_ready", reason)
        from tokenizers import Tokenizer

        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # tokenizers raises nothing more definite
            raise EngineError(
                "model_damaged",
                f"{CONFIG} or {TOKENIZER} in {folder} cannot be read: {error}; {REINSTALL}",
            ) from error
        released = config.get("files", {})
        runners = {}
        for stage in STAGES:
            file = f"{stage.name}.onnx"
            runners[stage.name] = OnnxRunner(stage, folder / file, threads, released.get(file, ""))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TEXT_TOKENS)
        return cls(runners, tokenizer, config, folder)

    def files(self) -> dict[str, Path]:
        """The files that decide what the stem sounds like."""
        if not self.folder:
            return {}
        names = [CONFIG, TOKENIZER, *(f"{stage}.onnx" for stage in SERVING_STAGES)]
        return {name: self.folder / name for name in names}

    def warm_up(
        self, cancelled: IsCancelled = never_cancelled, progress: Progress = ignore_progress
    ) -> None:
        """Build every session that serving needs. Raises Cancelled between two of them."""
        for name in SERVING_STAGES:
            if cancelled():
                raise Cancelled
            runner = self.editor.runners[name]
            if isinstance(runner, OnnxRunner):
                runner.load()

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> PreparedEdit:
        """Put on the style's adapters and learned prompts, and read what the words ask for.

        EngineError bad_preset, not_ready.
        """
        by_weight = sorted(knobs.prompts, key=lambda prompt: -prompt[1])
        intent = parse_intent(", ".join(words for words, _ in by_weight), style.task)
        active = self._adapters.set_adapters(style, self.editor.runners["denoiser"])
        return PreparedEdit(knobs, active.notes, intent, self._adapters.prompts)

    def close(self) -> None:
        """The sessions go with the object."""

    def port(self, job: PreparedEdit, progress: Progress, cancelled: IsCancelled) -> ModelPort:
        """nano as the region contract wants a model. EngineError bad_args."""

        def play(mono: np.ndarray, knobs: Knobs, progress: Progress) -> np.ndarray:
            prompted = replace(knobs, prompts=(*job.prompts, *knobs.prompts))
            return self.editor.transfer(mono, prompted, progress, cancelled)

        port = ModelPort(
            F.SAMPLE_RATE_HZ,
            run=lambda mono: ModelOutput(play(mono, job.knobs, progress)),
            window_samples=lambda count: plan_frames(F.frame_count(count)) * F.SAMPLES_PER_FRAME,
            max_seconds=MAX_SECONDS,
        )
        if job.intent.task == "timbre":
            return port
        arranged = ArrangedEdit(job.intent, job.knobs.stems, job.knobs.tempo)
        run = lambda mono: arranged.run(mono, job.knobs, play, progress)  # noqa: E731
        return replace(port, run=run, voices=arranged.voices)

    def edit(
        self, mono_32k: np.ndarray, text: str, knobs: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """The stems by name that a text asks for, mono at 32 kHz. EngineError bad_args."""
        job = self.prepare(ResolvedStyle(), self._resolve(text, knobs))
        port = self.port(job, ignore_progress, never_cancelled)
        stems = np.atleast_2d(port.run(mono_32k).samples)
        return {
            voice.name or job.intent.task: stem
            for voice, stem in zip(port.voices, stems, strict=True)
        }

    def transfer(
        self,
        mono_32k: np.ndarray,
        text: str,
        knobs: Mapping[str, Any] | None = None,
        progress: Progress = ignore_progress,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """Mono float32 at 32 kHz in and out, the same length, of any length.

        EngineError bad_args, cancelled.
        """
        return self.editor.transfer(mono_32k, self._resolve(text, knobs), progress, cancelled)

    def _resolve(self, text: str, knobs: Mapping[str, Any] | None) -> Knobs:
        return knob_table.resolve(text, knobs or {}, None, self.defaults)[0]
