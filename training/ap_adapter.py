"""Train an AP-Adapter for AudioLDM2 on any folder of recordings with captions, as the paper does.

    python -m training.ap_adapter --data FOLDER --models MODELS --out runs/adapter

FOLDER holds sounds and their captions: metadata.jsonl or metadata.csv (file_name, text), or
NAME.txt beside NAME.wav. MODELS is the models folder of audioldm2. Only the adapter trains, 21.6
million numbers for -large; its averaged weights go to OUT/ap_adapter.safetensors. Stopped, it goes
on where it last saved (every 100 steps); --export writes what is there without training.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from engine.audio.region import reflected
from engine.families.audioldm2 import features as F
from engine.families.audioldm2.ap_adapter import (
    AdaptedUNet,
    pooled,
    pooled_positions,
    read_adapter,
    write_adapter,
)
from engine.families.audioldm2.text import TextConditioner, stacked
from training import loop

if TYPE_CHECKING:
    from engine.families.audioldm2.audiomae import AudioMae
    from engine.families.audioldm2.components import Components

OMEGAS = (1, 2, 4, 8)  # one is drawn for each batch, the same along time and frequency
TEXT_DROPPED, AUDIO_DROPPED, BOTH_DROPPED = 0.05, 0.05, 0.05  # shares of all samples, for guidance
PEAK = 0.5  # of the waveform before the VAE's mel, as AudioLDM2 was trained
SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
LISTS = ("metadata.jsonl", "metadata.csv")
PUBLISHED = {"lr": 1e-4, "betas": (0.9, 0.999), "weight_decay": 1e-2, "eps": 1e-8}  # of AdamW
AVERAGE_DECAY = 0.999
RESULT = "ap_adapter.safetensors"
LICENCE = "derived from AudioLDM2 (CC-BY-NC-SA-4.0) and AudioMAE (CC-BY-NC-4.0): non-commercial"


class DataError(ValueError):
    """What is wrong with a folder of recordings, file by file."""


@dataclass(frozen=True)
class Clip:
    path: Path
    text: str


@dataclass(frozen=True)
class Batch:
    """Pictures of a few windows: log-mel [B, 1024, 64] for the VAE, filter banks [B, 1024, 128] for
    AudioMAE.
    """

    mel: Tensor
    fbank: Tensor
    texts: list[str]


def captioned(folder: Path) -> list[Clip]:
    """Every sound of a folder with its caption. DataError lists what has none, or is not there."""
    listed = next((folder / name for name in LISTS if (folder / name).is_file()), None)
    clips, troubles = _listed(listed) if listed else _beside(folder)
    if troubles:
        more = f" (and {len(troubles) - 8} more)" if len(troubles) > 8 else ""
        raise DataError("; ".join(troubles[:8]) + more)
    if not clips:
        raise DataError(
            f"no sounds in {folder}; expected {', '.join(SUFFIXES)} with NAME.txt, or {' or '.join(LISTS)}"
        )
    return clips


def _listed(path: Path) -> tuple[list[Clip], list[str]]:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        rows = (
            map(json.loads, filter(str.strip, stream))
            if path.suffix == ".jsonl"
            else csv.DictReader(stream)
        )
        clips = [
            Clip(path.parent / (row.get("file_name") or ""), (row.get("text") or "").strip())
            for row in rows
        ]
    troubles = [f"{clip.path} is not there" for clip in clips if not clip.path.is_file()]
    return clips, troubles + [f"{clip.path} has no text" for clip in clips if not clip.text]


def _beside(folder: Path) -> tuple[list[Clip], list[str]]:
    sounds = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    troubles = [
        f"{path} has no caption {path.stem}.txt"
        for path in sounds
        if not path.with_suffix(".txt").is_file()
    ]
    if troubles:
        return [], troubles
    clips = [
        Clip(path, path.with_suffix(".txt").read_text(encoding="utf-8").strip()) for path in sounds
    ]
    return clips, [f"{clip.path} has an empty caption" for clip in clips if not clip.text]


def window_of(path: Path, frames: int, place: float) -> np.ndarray:
    """Mono samples at 16 kHz that fill `frames` mel frames, from the part of the file that `place`
    (0 to 1) names.

    All channels are mixed (the reference takes the first); a file that is too short is mirrored
    (the reference adds zeros, which AudioMAE takes for a loud sound). DataError.
    """
    import soundfile
    import soxr

    wanted = F.fbank_samples(frames)
    try:
        with soundfile.SoundFile(path) as file:
            needed = -(-wanted * file.samplerate // F.SAMPLE_RATE_HZ)
            file.seek(int(place * max(0, file.frames - needed)))
            samples = file.read(needed, dtype="float32", always_2d=True).mean(axis=1)
            rate_hz = file.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}; take it out of the folder") from error
    if not len(samples):
        raise DataError(f"{path} holds no sound; take it out of the folder")
    return reflected(soxr.resample(samples, rate_hz, F.SAMPLE_RATE_HZ), 0, wanted)[:wanted]


def pictures_of(samples: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """(log-mel [frames, 64], filter bank [frames, 128]) of `window_of`."""
    centred = samples - samples.mean()
    peak = float(np.abs(centred).max())
    mel = F.log_mel(centred[: frames * F.HOP_SAMPLES] * (PEAK / peak if peak > 1e-6 else 1.0))[
        :frames
    ]
    return mel, F.normalised(F.fbank(samples), frames)


def batches(clips: Sequence[Clip], size: int, frames: int) -> Iterator[Batch]:
    """Random clips, a random window of each, for ever.

    Draws from torch's generator, whose state a run keeps.
    """
    while True:
        chosen = [clips[int(index)] for index in torch.randint(len(clips), (size,))]
        pictures = [
            pictures_of(window_of(clip.path, frames, float(torch.rand(()))), frames)
            for clip in chosen
        ]
        mel, fbank = (torch.from_numpy(np.stack(part)) for part in zip(*pictures, strict=True))
        yield Batch(mel, fbank, [clip.text for clip in chosen])


class Objective:
    """The paper's loss: the noise in a latent, told from pooled AudioMAE tokens and words, some of
    them left out.

    All frozen parts run without gradients. Random numbers are drawn on the CPU whatever the device,
    so that a resumed run is the uninterrupted one.
    """

    def __init__(
        self, components: Components, audiomae: AudioMae, device: str = "cpu", half: bool = False
    ) -> None:
        from diffusers import DDIMScheduler

        from engine.families.audioldm2 import graphs

        self.unet: AdaptedUNet = components.unet.to(device)
        self.vae, self.audiomae = (
            components.vae.to(device),
            audiomae.to(device).requires_grad_(False),
        )
        own = {
            name: value
            for name, value in components.scheduler_config.items()
            if not name.startswith("_")
        }
        self.scheduler = DDIMScheduler.from_config(own)
        self.latent_frames = components.latent_shape[1]
        self.device, self.half = device, half
        runners = graphs.runners(graphs.modules(components, audiomae), device)
        self._text = TextConditioner(runners, components.clap_tokenizer, components.t5_tokenizer)
        for parameter in self.unet.adapter_parameters():
            parameter.requires_grad_(True)

    @property
    def trained(self) -> nn.ModuleList:
        """The adapters, in the order of `adapter_parameters`."""
        return nn.ModuleList(self.unet.adapters.values())

    def loss(self, _: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """`loss`, and the same of the samples that heard their audio (`with_audio`)."""
        latent = self.latents(batch.mel)
        noise = torch.randn(latent.shape).to(self.device)
        times = torch.randint(self.scheduler.config.num_train_timesteps, (len(latent),)).to(
            self.device
        )
        omega = OMEGAS[int(torch.randint(len(OMEGAS), ()))]
        drops_text, drops_audio = _dropped(len(latent))
        texts = [
            "" if drop else text
            for text, drop in zip(batch.texts, drops_text.tolist(), strict=True)
        ]
        fbank = torch.where(drops_audio[:, None, None], torch.zeros_like(batch.fbank), batch.fbank)
        predicted = self.predicted(
            self.scheduler.add_noise(latent, noise, times), times, texts, fbank, omega
        )
        error = functional.mse_loss(predicted.float(), noise, reduction="none").mean((1, 2, 3))
        heard = (~drops_audio).to(self.device, error.dtype)
        return {
            "loss": error.mean(),
            "with_audio": (error * heard).sum() / heard.sum().clamp(min=1),
        }

    def predicted(
        self,
        noised: Tensor,
        times: Tensor,
        texts: list[str],
        fbank: Tensor | None,
        omega: int,
        alpha: float = 1.0,
    ) -> Tensor:
        """The noise that the UNet tells in latents [B, C, T, F]; `fbank` None: without audio."""
        words = self.words(texts)
        heard = {} if fbank is None else self._heard(fbank, omega, alpha)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.half):
            return self.unet(noised, times.float(), **words, **heard)

    def words(self, texts: list[str]) -> dict[str, Tensor]:
        """The UNet's text inputs."""
        words = stacked([self._text.words(text) for text in texts])
        return {name: torch.from_numpy(value).to(self.device) for name, value in words.items()}

    def latents(self, mel: Tensor) -> Tensor:
        """A sample of the VAE's posterior, as the reference trains on, not its mean."""
        with torch.no_grad():
            posterior = self.vae.encode(mel[:, None].to(self.device)).latent_dist
        drawn = posterior.mean + posterior.std * torch.randn(posterior.mean.shape).to(self.device)
        return drawn * self.vae.config.scaling_factor

    @torch.no_grad()
    def _heard(self, fbank: Tensor, omega: int, alpha: float) -> dict[str, Tensor]:
        """The UNet's audio inputs."""
        grid = self.audiomae.grid
        audio = pooled(self.audiomae(fbank.to(self.device)), grid, (omega, omega))
        positions = pooled_positions(grid, (omega, omega), self.latent_frames / grid[0]).to(
            self.device
        )
        scale = torch.full((len(audio),), alpha, device=self.device)
        return {
            "audio": audio,
            "audio_position": positions.expand(len(audio), -1),
            "audio_scale": scale,
        }


def _dropped(count: int) -> tuple[Tensor, Tensor]:
    """Which samples lose their text, and which their audio: 5 % one, 5 % the other, 5 % both."""
    lot = torch.rand(count)
    both = lot < BOTH_DROPPED
    text = lot < BOTH_DROPPED + TEXT_DROPPED
    audio = (lot >= BOTH_DROPPED + TEXT_DROPPED) & (
        lot < BOTH_DROPPED + TEXT_DROPPED + AUDIO_DROPPED
    )
    return text, both | audio


def checkpoint_layers(unet: AdaptedUNet) -> None:
    """Trade time for memory: the inside of each transformer and residual block is computed again on
    the way back.

    diffusers' own switch fails here: with a text mask its checkpointed call forgets an argument
    (diffusers #13602).
    """
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.transformers.transformer_2d import Transformer2DModel
    from torch.utils.checkpoint import checkpoint

    for module in unet.modules():
        if isinstance(module, (ResnetBlock2D, Transformer2DModel)):
            module.forward = functools.partial(checkpoint, module.forward, use_reentrant=False)


def adamw(module: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    return [torch.optim.AdamW(module.parameters(), **{**PUBLISHED, "lr": learning_rate})]


def train(objective: Objective, clips: Sequence[Clip], options: argparse.Namespace) -> None:
    """Until options.steps; resumes a run in options.out."""
    loop.run(
        options.out,
        objective.trained,
        batches(clips, options.batch, objective.audiomae.frames),
        objective.loss,
        loop.Constant(options.steps, options.learning_rate),
        average_decay=AVERAGE_DECAY,
        accumulate=options.accumulate,
        optimisers=adamw(objective.trained, options.learning_rate),
    )


def export(unet: AdaptedUNet, run_folder: Path, notes: Mapping[str, str]) -> Path:
    """The run's averaged weights as a checkpoint that the family and `presets` take."""
    loop.load_average(run_folder, nn.ModuleList(unet.adapters.values()))
    rotary = any(adapter.rotary for adapter in unet.adapters.values())
    write_adapter(run_folder / RESULT, unet.adapter_state(), rotary, {"licence": LICENCE, **notes})
    return run_folder / RESULT


def main(arguments: Sequence[str] | None = None) -> int:
    """0: trained and exported, 1: data or weights are not usable."""
    from engine.errors import EngineError

    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (DataError, EngineError) as error:
        print(f"training.ap_adapter: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    from engine.families.audioldm2 import audiomae, components
    from engine.families.audioldm2.weights import AudioLdm2Weights

    clips = [] if options.export else captioned(options.data)
    weights = AudioLdm2Weights(options.models)
    weights.check(brings_adapter=True)
    print(f"{len(clips)} clips; the result is {LICENCE}", file=sys.stderr)
    found = components.load(weights.base(), rotary=options.rotary)
    if options.adapter:
        found.unet.load_adapter(read_adapter(options.adapter)[0], options.rotary)
    notes = {"base": weights.base().name, "steps": str(options.steps)}
    if not options.export:
        torch.manual_seed(options.seed)
        objective = Objective(
            found, audiomae.read(weights.audiomae()), options.device, options.half
        )
        if options.checkpointing:
            checkpoint_layers(found.unet)
        train(objective, clips, options)
    print(export(found.unet, options.out, notes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    on_gpu = torch.cuda.is_available()
    add = parser.add_argument
    add("--data", type=Path, help="folder of sounds with captions")
    add("--models", type=Path, required=True, help="models folder of audioldm2")
    add("--out", type=Path, required=True, help="run folder; an unfinished run in it goes on")
    add("--steps", type=int, default=35_000, help="as the released checkpoint (default 35000)")
    add(
        "--batch",
        type=int,
        default=7,
        help="windows at once (default 7: 24 GB without checkpointing)",
    )
    add(
        "--accumulate",
        type=int,
        default=4,
        help="batches a step (default 4: 28 windows, as the reference)",
    )
    add("--learning-rate", type=float, default=PUBLISHED["lr"])
    add(
        "--adapter",
        type=Path,
        help="start from this checkpoint instead of the frozen text projections",
    )
    add(
        "--rotary", action="store_true", help="rotary positions on the audio path: locks the timing"
    )
    add("--checkpointing", action="store_true", help="less memory, about a third more time")
    add(
        "--half",
        action=argparse.BooleanOptionalAction,
        default=on_gpu,
        help="bfloat16 in the UNet (default on a GPU)",
    )
    add("--device", default="cuda" if on_gpu else "cpu")
    add("--seed", type=int, default=0)
    add("--export", action="store_true", help="write the checkpoint of a run without training on")
    return parser


if __name__ == "__main__":
    sys.exit(main())
