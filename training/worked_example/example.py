"""nano learns an instrument that it was never shown, from ten recordings, by LoRA and by words.

    python -m training.worked_example.example --page docs/adaptation_example.md

Needs FluidSynth with two soundfonts (evaluation/corpus/render.py names the packages) and the
`train` and `export` extras. What was learned and measured stays in a folder of --out that is called
after the weights and the options: the same command goes on where it was broken off.

    render     ten recordings of the instrument, as wav files: all that a user has
    learn      pairs by back-translation, then both methods
    judge      unseen scores, other prompts, blends            figures.py
    live       a server is started, then given the presets; times from its manifests
    write      the page with table and picture
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.families.nano.family import CONFIG, WEIGHTS
from engine.families.nano.features import SAMPLE_RATE_HZ
from presets.files import file_sha256
from training.loop import Progress
from training.worked_example.learn import LORA, WORDS, Method
from training.worked_example.scenario import (
    FIRST_SCORE,
    HELD_BACK,
    LICENCE,
    PHRASE,
    PROGRAM,
    RECORDINGS,
    SECONDS,
    SEED,
    SOUNDFONT,
)

if TYPE_CHECKING:
    from engine.families.nano.family import NanoFamily
    from training.worked_example.pairs import Recording


def record(folder: Path, count: int = RECORDINGS) -> list[Path]:
    """What a user brings: wav files of one sound, nothing else."""
    import soundfile

    from evaluation.corpus.render import Renderer, find_soundfont
    from evaluation.corpus.scores import TEST_SEEDS, make_score

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"take_{index + 1:02}.wav" for index in range(count)]
    if not all(path.exists() for path in paths):
        renderer = Renderer(find_soundfont(SOUNDFONT))
        for index, path in enumerate(paths):
            score = make_score(TEST_SEEDS[FIRST_SCORE + index], SECONDS)
            soundfile.write(path, renderer.render(score, PROGRAM), SAMPLE_RATE_HZ, subtype="PCM_16")
        renderer.close()
    return paths


def learn_methods(
    paths: Sequence[Path], methods: Sequence[Method], presets: Path
) -> dict[str, dict[str, Any]]:
    """A preset for each method, and how it was learned; kept in `learned.json`."""
    import torch

    from engine.families.nano.family import NanoFamily

    memory = presets.parent / "learned.json"
    if memory.exists():
        return json.loads(memory.read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    began = time.process_time()
    family = NanoFamily.load(None, 1)
    recordings = _make_recordings(paths, family)
    rows: dict[str, dict[str, Any]] = {"pairs": {"seconds": time.process_time() - began}}
    _print_seconds(f"pairs of {len(paths)} recordings", rows["pairs"]["seconds"])
    presets.mkdir(parents=True, exist_ok=True)
    for method in methods:
        rows[method.name] = _learn(method, family, recordings, presets)
        _print_seconds(f"{method.name} learned", rows[method.name]["seconds"])
    memory.write_text(json.dumps(rows), encoding="utf-8")
    return rows


def _make_recordings(paths: Sequence[Path], family: NanoFamily) -> list[Recording]:
    import soundfile

    from training.worked_example import restore
    from training.worked_example.pairs import make_recording

    encoder = restore.load_audio_encoder(WEIGHTS / "audio_encoder.onnx")
    sounds = (soundfile.read(path, dtype="float32")[0] for path in paths)
    return [make_recording(sound, family, encoder, SEED) for sound in sounds]


def _learn(
    method: Method, family: NanoFamily, recordings: Sequence[Recording], presets: Path
) -> dict[str, Any]:
    """A preset by one method, and how it was learned."""
    from training.worked_example import restore
    from training.worked_example.learn import learn, write_preset

    denoiser = restore.load_denoiser(WEIGHTS / "denoiser.onnx")
    began, name = time.process_time(), f"{PHRASE.replace(' ', '_')}_{method.name}"
    found = learn(
        method,
        denoiser,
        family,
        recordings[HELD_BACK:],
        recordings[:HELD_BACK],
        PHRASE,
        presets.parent / f"{name}.safetensors",
        SEED,
        report_every_tenth(method),
    )
    seconds = time.process_time() - began
    write_preset(name, found, method, PHRASE, presets, LICENCE)
    return {
        "seconds": seconds,
        "losses": found.losses,
        "looks": found.looks,
        "numbers": found.numbers,
        "steps": method.steps,
        "rate": method.rate,
        "bytes": (presets / name / f"{name}.safetensors").stat().st_size,
    }


def report_every_tenth(method: Method) -> Callable[[Progress], None]:
    """A line every tenth step."""

    def report(progress: Progress) -> None:
        step = progress.step - 1
        if step % 10 == 0:
            loss = progress.losses["loss"][-1]
            print(f"  {method.name} {step}: loss {loss:.3f}", flush=True)

    return report


def _print_seconds(text: str, seconds: float) -> None:
    print(f"{text}: {seconds:.1f} s", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/adapt_nano"))
    parser.add_argument("--page", type=Path, default=Path("docs/adaptation_example.md"))
    parser.add_argument(
        "--steps", type=int, default=LORA.steps, help="of each method (default %(default)s)"
    )
    parser.add_argument(
        "--clips", type=int, default=12, help="unseen scores that are judged (default %(default)s)"
    )
    parser.add_argument(
        "--others", type=int, default=37, help="other prompts that are judged (default %(default)s)"
    )
    options = parser.parse_args(arguments)
    methods = [replace(method, steps=options.steps) for method in (LORA, WORDS)]
    weights = file_sha256(WEIGHTS / CONFIG)[:8]
    out = options.out / f"{weights}-{options.steps}-{options.clips}-{options.others}"
    rows = learn_methods(record(out / "recordings"), methods, out / "presets")
    from training.worked_example import figures, page

    found = figures.measure(out, out / "presets", options.clips, options.others)
    page.write(options.page, rows, found, out / "sounds")


if __name__ == "__main__":
    main()
