"""How does ACE-Step make a region's stem from a scene and a few words?

    words, negative words -> text_encoder, condition_encoder -> contexts ------+
    scene -> vae_encoder -> source: whole, as codes, or with a hole, by task --+-> transformer
    samples of the region <- vae_decoder <-- latent <-- x steps <--------------+

Guidance is APG, as the authors sample the base checkpoint: velocity = v(words) + (lambda - 1) * the
part of the running difference to v(no words) that does not lie along v(words).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from engine.families.ace_step.tasks import WORDS_ALONE, Task, instruction_for
from engine.families.shared.flow import Velocity, noise_for
from engine.families.shared.latent_editor import FlowStart, LatentEditor, LatentSizes
from engine.families.shared.window import LatentWindow
from engine.knobs import Knobs
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled
from engine.runtimes.runner import Runner

PROMPT = "# Instruction\n{}\n\n# Caption\n{}\n\n# Metas\n{}<|endoftext|>\n"
METAS = "- bpm: N/A\n- timesignature: N/A\n- keyscale: N/A\n- duration: {} seconds\n"
LYRICS = "# Languages\n{}\n\n# Lyric\n{}<|endoftext|>"
NO_LYRICS = ("unknown", "[Instrumental]")
MAX_WORDS, MAX_LYRICS = 256, 2048
LEAST_SECONDS = 10.0  # the shortest that it was trained on
TIMBRE_SECONDS = 30.0
SHIFT = 3.0  # of the timesteps towards noise
CONTEXTS_KEPT = 64  # a few MB each
MOMENTUM, NORM_THRESHOLD = -0.75, 2.5  # of APG

Contexts = Sequence[tuple[np.ndarray, float]]  # each [1, S, width], with its weight


class Editor(LatentEditor[Task]):
    """ACE-Step's stages at work.

    `silence`: the latent of silence [frames, 64]; `no_words`: the learned context of no words;
    `can_guide`: false for turbo checkpoints.
    """

    least_seconds, generated = LEAST_SECONDS, 0.9

    def __init__(
        self,
        runners: Mapping[str, Runner],
        tokenizer: Any,
        scheduler_config: Mapping[str, Any],
        sizes: LatentSizes,
        silence: np.ndarray,
        no_words: np.ndarray,
        can_guide: bool = True,
    ) -> None:
        super().__init__(runners, tokenizer, scheduler_config, sizes)
        self._silence, self.no_words, self.can_guide = silence, no_words, can_guide
        self.context = lru_cache(CONTEXTS_KEPT)(self._encode_context)

    def begin(
        self, window: LatentWindow, knobs: Knobs, task: Task, cancelled: IsCancelled
    ) -> FlowStart:
        """EngineError bad_args where the words do not name what the task needs."""
        source, mask = self._source(window, task)
        seconds = len(window.samples) / self.sizes.rate_hz
        predict = self._predictor(knobs, task, seconds, np.concatenate([source, mask], axis=1))
        noise = noise_for(knobs.seed, self.sizes.latent_channels, len(source))[None]
        return FlowStart(noise, predict, noise_levels(knobs.steps))

    def decode(
        self,
        latent: np.ndarray,
        advance: Advance = ignore_advance,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        return self.runners["vae_decoder"](latent=latent[None])[0][0]

    def is_cut(self, text: str) -> bool:
        prompt = PROMPT.format(WORDS_ALONE, text, METAS.format(30))
        return len(self._ids(prompt, None)[0]) > MAX_WORDS

    def silence(self, frames: int) -> np.ndarray:
        """The latent of silence [frames, 64]; beyond ten minutes it begins again."""
        return np.tile(self._silence, (-(-frames // len(self._silence)), 1))[:frames]

    def _source(self, window: LatentWindow, task: Task) -> tuple[np.ndarray, np.ndarray]:
        """What the transformer hears of the window, and where it makes something: both [T, 64]."""
        (latent,) = self.runners["vae_encoder"](samples=window.samples.T[None])
        if task.hears_codes:
            (latent,) = self.runners["semantic_codes"](latent=latent)
        source = latent[0]
        wanted = window.mask if task.refills else np.ones_like(window.mask)
        if task.refills:
            source = np.where(wanted[:, None] > 0, self.silence(len(source)), source)
        return source, np.repeat(wanted[:, None], source.shape[1], axis=1)

    def _predictor(self, knobs: Knobs, task: Task, seconds: float, source: np.ndarray) -> Velocity:
        """The guided velocity of a latent [1, T, 64] at a time."""

        def velocity(latent: np.ndarray, time: float, context: np.ndarray) -> np.ndarray:
            inputs = {"latent": latent, "time": np.full(1, time, np.float32), "context": context}
            return self.runners["transformer"](**inputs, source=source[None])[0]

        def mix(latent: np.ndarray, time: float, contexts: Contexts) -> np.ndarray:
            terms = [np.float32(share) * velocity(latent, time, each) for each, share in contexts]
            return np.asarray(sum(terms))

        contexts = [
            (self.context(instruction_for(task, text), text, seconds), weight)
            for text, weight in knobs.prompts
        ]
        is_guided = self.can_guide and knobs.guidance > 1
        apg = _Apg(knobs.guidance, self._avoid(knobs, task, seconds)) if is_guided else None
        cover = np.float32(min(1.0, knobs.strength) if task.hears_codes else 1.0)
        rest = np.float32(1 - (min(1.0, knobs.strength) if task.hears_codes else 1.0))
        words_alone = [
            (self.context(WORDS_ALONE, text, seconds), weight)
            for text, weight in (knobs.prompts if rest > 0 else ())
        ]

        def predict(latent: np.ndarray, time: float) -> np.ndarray:
            found = mix(latent, time, contexts)
            if apg and knobs.guidance_at(1 - time) > 1:
                found = apg(found, velocity(latent, time, apg.avoided))
            if words_alone:
                found = cover * found + rest * mix(latent, time, words_alone)
            return found

        return predict

    def _avoid(self, knobs: Knobs, task: Task, seconds: float) -> np.ndarray:
        """The context that guidance leads away from: negative words, or the learned no words."""
        if knobs.negative.strip():
            return self.context(instruction_for(task, knobs.prompts[0][0]), knobs.negative, seconds)
        return self.no_words

    def _encode_context(self, instruction: str, text: str, seconds: float) -> np.ndarray:
        """The context [1, S, width] of an instruction and words, with silence as timbre."""
        frames = round(TIMBRE_SECONDS * self.sizes.rate_hz / self.sizes.frame_samples)
        prompt = PROMPT.format(instruction, text, METAS.format(int(seconds)))
        (words,) = self.runners["text_encoder"](input_ids=self._ids(prompt, MAX_WORDS))
        ids = self._ids(LYRICS.format(*NO_LYRICS), MAX_LYRICS)
        (lyrics,) = self.runners["word_embedding"](input_ids=ids)
        inputs = {"words": words, "lyrics": lyrics, "timbre": self.silence(frames)[None]}
        return self.runners["condition_encoder"](**inputs)[0]

    def _ids(self, text: str, longest: int | None) -> np.ndarray:
        found = self._tokenizer(
            [text], truncation=longest is not None, max_length=longest, verbose=False
        )
        return np.asarray(found["input_ids"], np.int64)


def noise_levels(steps: int) -> list[float]:
    """Euler's from 1 towards 0, drawn towards noise: sigma = s t / (1 + (s - 1) t)."""
    times = np.linspace(1.0, 0.0, steps + 1, dtype=np.float32)[:-1]
    levels: list[float] = (SHIFT * times / (1 + (SHIFT - 1) * times)).tolist()
    return levels


class _Apg:
    """Adaptive projected guidance (Sadat et al. 2025), diffusers' own, for one sampling.

    `avoided`: the context that it leads away from.
    """

    def __init__(self, guidance: float, avoided: np.ndarray) -> None:
        from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

        self.avoided = avoided
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
