"""A scene and a few words in, the region's stem out: ACE-Step's inference on runners.

    words, negative words -> text_encoder, condition_encoder -> contexts -----------+
    scene -> vae_encoder -> source, as its task hears it (whole, codes, or a hole) -+-> transformer x steps
    samples of the region <- vae_decoder <------------------------------------------+

Guidance is APG as the base checkpoint was sampled by its authors: velocity = v(words) + (lambda -
1) * the part of the running difference to v(no words) that does not lie along v(words). Rule: knows
runners only. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.ace_step.tasks import WORDS_ALONE, Task, instruction_for
from engine.families.shared.flow import noise_for, sample_flow
from engine.families.shared.window import window_of
from engine.knobs import Knobs
from engine.progress import Progress, stage_progress
from engine.runtimes.runner import Runner

PROMPT = "# Instruction\n{}\n\n# Caption\n{}\n\n# Metas\n{}<|endoftext|>\n"
METAS = "- bpm: N/A\n- timesignature: N/A\n- keyscale: N/A\n- duration: {} seconds\n"
LYRICS = "# Languages\n{}\n\n# Lyric\n{}<|endoftext|>"
NO_LYRICS = ("unknown", "[Instrumental]")
MAX_WORDS, MAX_LYRICS = 256, 2048
LEAST_SECONDS = 10.0  # the shortest that it was trained on
TIMBRE_SECONDS = 30.0
SHIFT = 3.0  # of the timesteps towards noise
CONTEXTS_HELD = 64  # read once, a few MB each
MOMENTUM, NORM_THRESHOLD = -0.75, 2.5  # of APG
ENCODED, GENERATED, DECODED = 0.05, 0.9, 0.95  # fractions of the job at which each part ends


@dataclass(frozen=True)
class Sizes:
    """What the configurations say, as the editor needs it."""

    rate_hz: int  # 48000
    frame_samples: int  # 1920
    frames_at_once: int  # 10
    channels: int  # 2
    latent_channels: int  # 64


class Editor:
    """The loaded stages at work.

    The constructor takes finished parts; `can_guide`: not for turbo checkpoints.
    """

    def __init__(
        self,
        runners: Mapping[str, Runner],
        tokenizer: Any,
        scheduler_config: Mapping[str, Any],
        sizes: Sizes,
        silence: np.ndarray,
        no_words: np.ndarray,
        can_guide: bool = True,
    ) -> None:
        self.sizes, self.runners, self.can_guide = sizes, runners, can_guide
        self._tokenizer, self._scheduler_config = tokenizer, scheduler_config
        self._silence, self.no_words = silence, no_words
        self.context = lru_cache(CONTEXTS_HELD)(self._encoded_context)

    def made(
        self,
        scene: Scene,
        knobs: Knobs,
        task: Task,
        max_seconds: float,
        progress: Progress = lambda stage, fraction: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> np.ndarray:
        """The region's samples [n, 2]. Raises Cancelled, EngineError bad_args, out_of_memory."""
        progress("encoding", 0.0)
        rate_hz = self.sizes.rate_hz
        window = window_of(
            scene,
            self.sizes.frame_samples,
            round(LEAST_SECONDS * rate_hz),
            round(max_seconds * rate_hz),
            self.sizes.frames_at_once,
        )
        source, mask = self._source(window.samples, window.mask, task)
        predict = self._predictor(
            knobs, task, len(window.samples) / rate_hz, np.concatenate([source, mask], axis=1)
        )
        if cancelled():
            raise Cancelled
        noise = noise_for(knobs.seed, self.sizes.latent_channels, len(source))[None]
        advance = stage_progress(progress, "generating", ENCODED, GENERATED)
        latent = sample_flow(
            predict, noise, self._scheduler(knobs.steps), knobs.seed, advance, cancelled
        )
        progress("decoding", GENERATED)
        (samples,) = self.runners["vae_decoder"](latent=latent)
        return np.ascontiguousarray(samples[0].T[window.region])

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than the encoder reads."""
        return (
            len(self._ids(PROMPT.format(WORDS_ALONE, text, METAS.format(30)), None)[0]) > MAX_WORDS
        )

    def silence(self, frames: int) -> np.ndarray:
        """The latent of silence [frames, 64]; beyond ten minutes it begins again."""
        return np.tile(self._silence, (-(-frames // len(self._silence)), 1))[:frames]

    def _source(
        self, samples: np.ndarray, mask: np.ndarray, task: Task
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the transformer hears of the window, and where it is to make something: both [T,
        64].
        """
        (latent,) = self.runners["vae_encoder"](samples=samples.T[None])
        if task.hears_codes:
            (latent,) = self.runners["semantic_codes"](latent=latent)
        source = latent[0]
        wanted = mask if task.refills else np.ones_like(mask)
        if task.refills:
            source = np.where(wanted[:, None] > 0, self.silence(len(source)), source)
        return source, np.repeat(wanted[:, None], source.shape[1], axis=1)

    def _predictor(
        self, knobs: Knobs, task: Task, seconds: float, source: np.ndarray
    ) -> Callable[[np.ndarray, float], np.ndarray]:
        """The guided velocity of a latent [1, T, 64] at a time."""
        contexts = [
            (self.context(instruction_for(task, text), text, seconds), weight)
            for text, weight in knobs.prompts
        ]
        is_guided = self.can_guide and knobs.guidance > 1
        avoided = self._avoided(knobs, task, seconds) if is_guided else None
        guided = _Apg(knobs.guidance) if is_guided else None
        cover = min(1.0, knobs.strength) if task.hears_codes else 1.0
        alone = [
            (self.context(WORDS_ALONE, text, seconds), weight)
            for text, weight in (knobs.prompts if cover < 1 else ())
        ]

        def velocity(latent: np.ndarray, time: float, context: np.ndarray) -> np.ndarray:
            inputs = {"latent": latent, "time": np.full(1, time, np.float32), "context": context}
            return self.runners["transformer"](**inputs, source=source[None])[0]

        def mixed(latent: np.ndarray, time: float, rows: list) -> np.ndarray:
            return sum(
                np.float32(weight) * velocity(latent, time, context) for context, weight in rows
            )

        def predict(latent: np.ndarray, time: float) -> np.ndarray:
            found = mixed(latent, time, contexts)
            if guided and knobs.guidance_at(1 - time) > 1:
                found = guided(found, velocity(latent, time, avoided))
            if alone:
                found = np.float32(cover) * found + np.float32(1 - cover) * mixed(
                    latent, time, alone
                )
            return found

        return predict

    def _avoided(self, knobs: Knobs, task: Task, seconds: float) -> np.ndarray:
        """The context that guidance leads away from: negative words, or what was learned for none."""
        if knobs.negative.strip():
            return self.context(instruction_for(task, knobs.prompts[0][0]), knobs.negative, seconds)
        return self.no_words

    def _encoded_context(self, instruction: str, text: str, seconds: float) -> np.ndarray:
        """The context [1, S, width] of an instruction and words; timbre comes from nowhere, which
        is silence.
        """
        frames = round(TIMBRE_SECONDS * self.sizes.rate_hz / self.sizes.frame_samples)
        prompt = PROMPT.format(instruction, text, METAS.format(int(seconds)))
        (words,) = self.runners["text_encoder"](input_ids=self._ids(prompt, MAX_WORDS))
        (lyrics,) = self.runners["word_embedding"](
            input_ids=self._ids(LYRICS.format(*NO_LYRICS), MAX_LYRICS)
        )
        return self.runners["condition_encoder"](
            words=words, lyrics=lyrics, timbre=self.silence(frames)[None]
        )[0]

    def _ids(self, text: str, longest: int | None) -> np.ndarray:
        found = self._tokenizer(
            [text], truncation=longest is not None, max_length=longest, verbose=False
        )
        return np.asarray(found["input_ids"], np.int64)

    def _scheduler(self, steps: int) -> Any:
        """Euler from 1 to 0, the steps drawn towards noise: sigma = s t / (1 + (s - 1) t)."""
        from diffusers import FlowMatchEulerDiscreteScheduler

        own = {
            name: value
            for name, value in self._scheduler_config.items()
            if not name.startswith("_")
        }
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(own)
        times = np.linspace(1.0, 0.0, steps + 1, dtype=np.float32)[:-1]
        scheduler.set_timesteps(sigmas=(SHIFT * times / (1 + (SHIFT - 1) * times)).tolist())
        return scheduler


class _Apg:
    """Adaptive projected guidance (Sadat et al.

    2025), diffusers' own; its momentum lasts one sampling.
    """

    def __init__(self, guidance: float) -> None:
        from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

        self._guidance, self._momentum = guidance, MomentumBuffer(MOMENTUM)

    def __call__(self, wanted: np.ndarray, avoided: np.ndarray) -> np.ndarray:
        import torch
        from diffusers.guiders.adaptive_projected_guidance import normalized_guidance

        return normalized_guidance(
            torch.from_numpy(wanted),
            torch.from_numpy(avoided),
            self._guidance - 1,
            self._momentum,
            eta=0.0,
            norm_threshold=NORM_THRESHOLD,
            use_original_formulation=True,
            norm_dim=(1,),
        ).numpy()
