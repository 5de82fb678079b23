"""Train an AP-Adapter for AudioLDM2 on any folder of recordings with captions, as the paper does.

    python -m training.ap_adapter --data FOLDER --models MODELS --out runs/adapter

FOLDER holds sounds and their captions: metadata.jsonl or metadata.csv (file_name, text), or
NAME.txt beside NAME.wav. MODELS is the models folder of audioldm2. Only the adapter learns. Its
averaged weights go to OUT/ap_adapter.safetensors. A run that was stopped goes on from its last
checkpoint; --export writes what is there without training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from engine.families.audioldm2.ap_adapter import AdaptedUNet, read_adapter, write_adapter
from training import loop
from training.ap_adapter.data import CaptionedSound, DataError, read_captioned
from training.ap_adapter.objective import LEARNING_RATE, Objective, adamw, checkpoint_layers
from training.ap_adapter.windows import batches

AVERAGE_DECAY = 0.999
RESULT = "ap_adapter.safetensors"
LICENCE = "derived from AudioLDM2 (CC-BY-NC-SA-4.0) and AudioMAE (CC-BY-NC-4.0): non-commercial"


def train(
    objective: Objective, sounds: Sequence[CaptionedSound], options: argparse.Namespace
) -> None:
    """Until options.steps; resumes a run in options.out."""
    loop.run(
        options.out,
        objective.trained,
        batches(sounds, options.batch, objective.audiomae.frames),
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

    sounds: list[CaptionedSound] = [] if options.export else read_captioned(options.data)
    weights = AudioLdm2Weights(options.models)
    weights.check(brings_adapter=True)
    print(f"{len(sounds)} sounds; the result is {LICENCE}", file=sys.stderr)
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
        train(objective, sounds, options)
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
    add("--learning-rate", type=float, default=LEARNING_RATE)
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
