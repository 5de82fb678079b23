"""Is a style any good?

Base and style play the same words with the same seeds; four questions, N beside every figure.

    gain          is it nearer to held-out recordings?     held-out clips, paired by caption
    retention     does it still do what other words say?   prompts of four categories
    memorisation  does it repeat what it was taught?       nearest training clip
    listening     A/B samples beside the report            base/, style/

Figures and their definitions are evaluation's. CLAP counts if its weights are named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.metrics import distributions, embeddings
from evaluation.metrics import similarity as metrics
from evaluation.metrics.sound import Sound
from training.adapt.config import TrainError
from training.adapt.families import TrainableModel
from training.adapt.methods import TrainableAdapter
from training.adapt.samples import play_base_or_style
from training.dataset import near
from training.dataset.clips import Clip, samples_of, write_text
from training.templates import fill

CATEGORIES: Mapping[str, Sequence[str]] = {  # of the soft prompts' authors; words of ours
    "instruments": ("a solo piano", "an acoustic guitar and a flute"),
    "genres": ("a slow blues", "fast techno"),
    "stories": ("rain falls on an empty street at night", "a train leaves for the sea"),
    "themes": ("hope after a long winter", "a quarrel that ends in laughter"),
}
NO_CLAP = " CLAP was not asked (--clap FOLDER): whether words are followed is not known."
FEW = 20  # below, a distribution says little: it is printed with that remark


class Played(NamedTuple):
    text: str
    base: Sound
    style: Sound


def play_both(
    model: TrainableModel,
    adapter: TrainableAdapter,
    texts: Sequence[tuple[str, Path]],
    seconds: float,
    seed: int,
    folder: Path,
) -> list[Played]:
    """Every (text, source) by base and style, written to folder/base and folder/style."""
    import soundfile

    found = []
    for index, (text, source) in enumerate(texts):
        sounds = {}
        for side in ("base", "style"):
            samples = play_base_or_style(
                model, adapter, side == "style", text, seconds, seed + index, source
            )
            (folder / side).mkdir(parents=True, exist_ok=True)
            path = folder / side / f"{index:03d}.flac"
            soundfile.write(path, np.clip(samples, -1, 1), model.rate_hz)
            sounds[side] = Sound(samples.mean(axis=1), model.rate_hz)
        found.append(Played(text, sounds["base"], sounds["style"]))
    return found


def sound_of(clip: Clip, seconds: float) -> Sound:
    samples, rate_hz = samples_of(clip)
    return Sound(samples[: int(seconds * rate_hz)].mean(axis=1), rate_hz)


def gain(played: Sequence[Played], held_out: Sequence[Sound], clap: Any | None) -> dict[str, Any]:
    """Every figure of base and style against the held-out clips.

    `fall` is 1 - style / base: above 0, the style is nearer.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, function in (
        ("afd", metrics.feature_distance),
        ("spectral", metrics.spectral_distance),
    ):
        pairs = {
            side: [
                function(getattr(each, side), real)
                for each, real in zip(played, held_out, strict=True)
            ]
            for side in ("base", "style")
        }
        rows[name] = {side: float(np.nanmean(values)) for side, values in pairs.items()}
    reference = [real.features for real in held_out]
    for side in ("base", "style"):
        found = distributions.feature_divergences(
            [getattr(each, side).features for each in played], reference
        )
        for family, value in found.items():
            rows.setdefault(f"kld_{family}", {})[side] = value
    embedding = clap or embeddings.MelStatistics()
    windows = {
        side: np.concatenate([embedding.windows(getattr(each, side)) for each in played])
        for side in ("base", "style")
    }
    real = np.concatenate([embedding.windows(each) for each in held_out])
    if min(len(real), *(len(each) for each in windows.values())) >= 2:
        rows["fad"] = {
            side: distributions.frechet_distance(each, real) for side, each in windows.items()
        }
    for row in rows.values():
        row["fall"] = 1 - row["style"] / row["base"] if row["base"] else float("nan")
    return {"n": len(played), "embedding": embedding.name, "windows": len(real), "figures": rows}


def retention(
    played: Mapping[str, Sequence[Played]], held_out: Sequence[Sound], clap: Any | None
) -> dict[str, Any]:
    """By category: how far the style left the base, and how both follow the held-out clips.

    `kld` is the mean divergence over four feature families; `clap` the likeness with the words.
    """
    rows, reference = {}, [real.features for real in held_out]
    for name, all_played in played.items():
        row = {
            "n": len(all_played),
            "drift": float(
                np.nanmean([metrics.feature_distance(each.style, each.base) for each in all_played])
            ),
        }
        for side in ("base", "style"):
            found = distributions.feature_divergences(
                [getattr(each, side).features for each in all_played], reference
            )
            row[f"kld_{side}"] = float(np.mean(list(found.values())))
            if clap:
                row[f"clap_{side}"] = float(
                    np.mean(
                        [clap.similarity(getattr(each, side), each.text) for each in all_played]
                    )
                )
        rows[name] = row
    return rows


def memorisation(
    played: Sequence[Played], held_out: Sequence[Sound], training: Sequence[Clip], seconds: float
) -> dict[str, Any]:
    """Likeness (0 to 1, near.likeness) to the nearest training clip; `real` is the yardstick."""
    prints = [(clip.path.name, _print(sound_of(clip, seconds))) for clip in training]
    sides = {
        "style": [each.style for each in played],
        "base": [each.base for each in played],
        "real": list(held_out),
    }
    nearest = {
        side: [
            max((near.likeness(_print(sound), print_), name) for name, print_ in prints)
            for sound in sounds
        ]
        for side, sounds in sides.items()
    }
    copies = [
        {"sample": index, "clip": name, "likeness": value}
        for index, (value, name) in enumerate(nearest["style"])
        if value >= near.SAME
    ]
    return {
        "n": len(played),
        "training": len(training),
        "copies": copies,
        **{side: float(np.mean([value for value, _ in rows])) for side, rows in nearest.items()},
    }


def write_report(
    model: TrainableModel,
    adapter: TrainableAdapter,
    parts: Mapping[str, Sequence[Clip]],
    folder: Path,
    *,
    seconds: float,
    seed: int = 0,
    most: int = 20,
    clap: Any | None = None,
) -> dict[str, Any]:
    """The whole report, its samples and report.json and REPORT.md in a new folder.

    TrainError exists.
    """
    if folder.exists():
        raise TrainError("exists", f"{folder} is there already; name another with --out")
    held, split = (parts["test"], "test") if parts["test"] else (parts["validation"], "validation")
    held = held[:most]
    held_out = [sound_of(clip, seconds) for clip in held]
    seconds = min(seconds, *(len(sound.samples) / sound.rate_hz for sound in held_out))
    pairs = [(clip.text, clip.path) for clip in held]
    same = play_both(model, adapter, pairs, seconds, seed, folder / "held_out")
    others = {
        name: play_both(
            model, adapter, [(text, held[0].path) for text in texts], seconds, seed, folder / name
        )
        for name, texts in CATEGORIES.items()
    }
    found = {
        "split": split,
        "seconds": seconds,
        "seed": seed,
        "clap": clap.name if clap else "",
        "gain": gain(same, held_out, clap),
        "retention": retention(others, held_out, clap),
        "memorisation": memorisation(same, held_out, parts["train"], seconds),
    }
    write_text(folder / "report.json", json.dumps(found, indent=2) + "\n")
    write_text(folder / "REPORT.md", markdown(found))
    return found


def markdown(found: Mapping[str, Any]) -> str:
    """For people."""
    gained, memory = found["gain"], found["memorisation"]
    few = f" N is below {FEW}: distributions (kld, fad) say little." if gained["n"] < FEW else ""
    return fill(
        __package__,
        "report.md",
        seconds=f"{found['seconds']:.1f}",
        split=found["split"],
        gain_n=gained["n"],
        embedding=gained["embedding"],
        windows=gained["windows"],
        few=few,
        gain_rows=_gain_rows(gained["figures"]),
        no_clap="" if found["clap"] else NO_CLAP,
        retention_rows=_retention_rows(found["retention"]),
        memory_n=memory["n"],
        training=memory["training"],
        **{side: f"{memory[side]:.2f}" for side in ("style", "base", "real")},
        copy_from=f"{near.SAME:g}",
        copies=len(memory["copies"]),
        copy_list="".join(
            f" Sample {row['sample']} is like {row['clip']} ({row['likeness']:.2f})."
            for row in memory["copies"]
        ),
    )


def _gain_rows(figures: Mapping[str, Mapping[str, float]]) -> str:
    return "\n".join(
        f"| {name} | {row['base']:.4g} | {row['style']:.4g} | {row['fall']:+.1%} |"
        for name, row in figures.items()
    )


def _retention_rows(rows: Mapping[str, Mapping[str, float]]) -> str:
    return "\n".join(
        f"| {name} | {row['n']} | {row['drift']:.4g} | {row['kld_base']:.4g} | "
        f"{row['kld_style']:.4g} | {_number(row.get('clap_base'))} | "
        f"{_number(row.get('clap_style'))} |"
        for name, row in rows.items()
    )


def _print(sound: Sound) -> near.Print:
    return near.print_of(sound.samples, sound.rate_hz)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
