"""What is AP-Adapter compared with? Editors of AudioLDM2 without training, on the same weights.

    sdedit           noise over the source, half way; then the words take it from there
                     (Meng et al. 2108.01073)
    ddim_inversion   the noise that DDIM would have begun with for this source; then the words
                     (Song et al. 2010.02502)
    ddpm_inversion   the noise of every step that would have led to this source; then the words,
                     with that noise (edit-friendly: Huberman-Spiegelglas et al. 2304.06140; for
                     audio ZETA, Manor et al. 2402.10009)

All begin from the VAE's latent of the source and get no audio prompt: alpha is 0, which is
AudioLDM2 itself. The values are those of the published code. Every latent here is [1, C, T, F]; a
long source is denoised in joint windows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.audio.region import reflect
from engine.knobs import Knobs

if TYPE_CHECKING:
    import torch

    from engine.families.audioldm2.editor import Editor

PEAK = 0.5  # of the waveform that AudioLDM2's VAE was trained on
Advance = Callable[[float], None]


@dataclass(frozen=True)
class BaselineSettings:
    """The words and the published values of one edit.

    `source_text` says what the source is (may be empty); `share` is how much of the noise schedule
    is used. `refinements` counts the fixed-point iterations of each step up of ddim_inversion (Pan
    et al. 2309.04907). 0, the published method, uses the noise of the level below for the level
    above, and so returns only near the source.
    """

    text: str
    source_text: str = ""
    negative: str = ""
    guidance: float = 7.5
    source_guidance: float = 1.0  # while inverting
    steps: int = 50
    share: float = 1.0
    refinements: int = 0
    seed: int = 0


DEFAULTS: Mapping[str, BaselineSettings] = {
    # fundwotsai2001/SDEdit-AudioLDM2, AP-Adapter's own baseline: noise_scale 0.55
    "sdedit": BaselineSettings("", negative="Low quality", guidance=7.5, steps=50, share=0.55),
    "ddim_inversion": BaselineSettings("", guidance=7.5, source_guidance=1.0, steps=200),
    # HilaManor/AudioEditingCode: 200 steps, 100 of them walked, guidance 3 for the source and 12
    # for the target
    "ddpm_inversion": BaselineSettings(
        "", guidance=12.0, source_guidance=3.0, steps=200, share=0.5
    ),
}


def edit(
    editor: Editor,
    mono: np.ndarray,
    method: str,
    settings: BaselineSettings,
    advance: Advance = lambda fraction: None,
) -> np.ndarray:
    """Mono 16 kHz samples in and out, the same length and level. `method` is a name of DEFAULTS."""
    window = reflect(np.asarray(mono, np.float32), 0, editor.window_samples(len(mono)))
    latent = _METHODS[method](_Run(editor, settings, advance), encode(editor, window))
    return decode(editor, latent, window)[: len(mono)]


def encode(editor: Editor, samples: np.ndarray) -> torch.Tensor:
    """The VAE's latent [1, C, T, F] of samples that fill whole windows, at its training level."""
    import torch

    from engine.families.audioldm2 import features

    mel = features.log_mel(samples * _gain(samples))[: len(samples) // features.HOP_SAMPLES]
    windows = [
        editor.runners["vae_encoder"](mel=part[None])[0][0]
        for part in editor.sizes.mel_windows.cut(mel)
    ]
    return torch.from_numpy(editor.sizes.windows.merge(np.stack(windows)))[None]


def decode(editor: Editor, latent: torch.Tensor, like: np.ndarray) -> np.ndarray:
    """Samples of a latent, at the level of `like`, the samples that it was made from."""
    return editor.vocode(editor.decode(latent[0].numpy())) / _gain(like)


class _Run:
    """One edit: a scheduler of diffusers, and the noise that AudioLDM2 predicts for it."""

    def __init__(self, editor: Editor, settings: BaselineSettings, advance: Advance) -> None:
        import torch
        from diffusers import DDIMScheduler

        self.settings, self._editor, self._advance = settings, editor, advance
        self.scheduler = DDIMScheduler.from_config(_public(editor.scheduler_config))
        self.scheduler.set_timesteps(settings.steps)
        # Only the last steps.
        self.times = self.scheduler.timesteps[
            settings.steps - max(1, int(settings.steps * settings.share)) :
        ]
        self.random = torch.Generator().manual_seed(settings.seed)
        self._done, self._calls = 0, len(self.times) * 2

    def normal(self, like: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.randn(like.shape, generator=self.random)

    def predict_towards_words(self, frames: int) -> Callable[[torch.Tensor, Any], torch.Tensor]:
        """Predicted noise on the way down: towards the words."""
        return self._noise(
            frames, self.settings.text, self.settings.guidance, self.settings.negative
        )

    def predict_of_source(self, frames: int) -> Callable[[torch.Tensor, Any], torch.Tensor]:
        """Predicted noise on the way up: of what the source is said to be."""
        return self._noise(frames, self.settings.source_text, self.settings.source_guidance, "")

    def _noise(
        self, frames: int, text: str, guidance: float, negative: str
    ) -> Callable[[torch.Tensor, Any], Any]:
        import torch

        editor, windows = self._editor, self._editor.sizes.windows
        knobs = Knobs(
            0.0,
            8,
            guidance,
            negative,
            self.settings.steps,
            self.settings.seed,
            prompts=((text, 1.0),),
        )
        silence = np.repeat(editor.null_audio(), len(windows.starts(frames)), axis=0)
        predict = editor.predictor(knobs, silence, alpha=0.0)

        def noise(latent: torch.Tensor, time: Any) -> torch.Tensor:
            pieces = windows.cut(latent[0].numpy())
            parts = [predict(pieces[part], float(time), part) for part in windows.batches(frames)]
            self._done += 1
            self._advance(min(1.0, self._done / self._calls))
            return torch.from_numpy(windows.merge(np.concatenate(parts)))[None]

        return noise


def _sdedit(run: _Run, source: torch.Tensor) -> torch.Tensor:
    noise, latent = (
        run.predict_towards_words(source.shape[-2]),
        run.scheduler.add_noise(source, run.normal(source), run.times[:1]),
    )
    for time in run.times:
        latent = run.scheduler.step(noise(latent, time), time, latent).prev_sample
    return latent


def _ddim_inversion(run: _Run, source: torch.Tensor) -> torch.Tensor:
    from diffusers import DDIMInverseScheduler

    known = inspect.signature(DDIMInverseScheduler).parameters
    upwards = DDIMInverseScheduler.from_config(
        {k: v for k, v in run.scheduler.config.items() if k in known}
    )
    upwards.set_timesteps(run.settings.steps)
    latent, noise = source, run.predict_of_source(source.shape[-2])
    for time in upwards.timesteps[: len(run.times)]:
        above = latent
        for _ in range(1 + run.settings.refinements):
            above = upwards.step(noise(above, time), time, latent).prev_sample
        latent = above
    noise = run.predict_towards_words(source.shape[-2])
    for time in run.times:
        latent = run.scheduler.step(noise(latent, time), time, latent).prev_sample
    return latent


def _ddpm_inversion(run: _Run, source: torch.Tensor) -> torch.Tensor:
    """Each level is noised independently, so the noise between two of them keeps the source."""
    noised = [run.scheduler.add_noise(source, run.normal(source), time[None]) for time in run.times]
    noise, extracted = run.predict_of_source(source.shape[-2]), []
    for index, time in enumerate(run.times):
        mean, deviation = _step(run.scheduler, noise(noised[index], time), time, noised[index])
        following = noised[index + 1] if index + 1 < len(noised) else source
        extracted.append((following - mean) / deviation)
    latent, noise = noised[0], run.predict_towards_words(source.shape[-2])
    for time, z in zip(run.times, extracted, strict=True):
        mean, deviation = _step(run.scheduler, noise(latent, time), time, latent)
        latent = mean + deviation * z
    return latent


def _step(
    scheduler: Any, noise: torch.Tensor, time: Any, latent: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Mean and deviation of one DDPM step: diffusers' step with eta 1 and our variance noise."""
    import torch

    def step(z: torch.Tensor) -> torch.Tensor:
        return scheduler.step(noise, time, latent, eta=1.0, variance_noise=z).prev_sample

    mean = step(torch.zeros_like(latent))
    return mean, float((step(torch.ones_like(latent)) - mean).mean())


_METHODS = {"sdedit": _sdedit, "ddim_inversion": _ddim_inversion, "ddpm_inversion": _ddpm_inversion}


def _gain(samples: np.ndarray) -> float:
    peak = float(np.abs(samples).max(initial=0.0))
    return PEAK / peak if peak > 1e-6 else 1.0


def _public(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not name.startswith("_")}
