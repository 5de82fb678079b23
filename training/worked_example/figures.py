"""Is the style any good, and what did it cost the rest? Measured on the graphs that users get."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.families.nano.adapters import NanoAdapters
from engine.families.nano.features import SAMPLE_RATE_HZ
from evaluation.metrics.similarity import chroma_similarity, log_mel_distance
from evaluation.metrics.sound import Sound
from presets.blending import blend
from presets.loader import load_preset
from presets.schema import Preset, Prompt
from training.worked_example.live import measure_live
from training.worked_example.scenario import PHRASE, PROGRAM, SECONDS, SHARES, SOUNDFONT
from training.worked_example.served import Served

# flute, vibraphone, saxophone, harp, organ, electric piano, clarinet, banjo
SOURCES = (73, 11, 65, 46, 19, 4, 71, 105)
OTHER_PAIRS_SEED = 7
# of TEST_SEEDS: neither evaluation.corpus.pairs' nor those of the recordings
FIRST_UNSEEN_SCORE = 60_000


def measure(out: Path, presets: Path, clips: int, others: int) -> dict[str, Any]:
    """All figures; each part is kept in `out` and not measured again."""
    base = Preset(
        name="base",
        title="base",
        description="nano as shipped",
        prompts=(Prompt(text=PHRASE),),
        licence="-",
    )
    lora, words = (load_preset(path) for path in sorted(presets.glob("*/*.yaml")))
    rows = {
        "base": base,
        "words": words,
        "lora": lora,
        "both": blend([(lora, 0.5), (words, 0.5)], "both"),
    }
    rows |= {
        f"{share:g}": blend([(lora, share), (base, 1 - share)], f"lora_{share:g}")
        for share in SHARES
    }
    served = Served(out / "models")
    parts: dict[str, Callable[[], Any]] = {
        "gain": lambda: measure_gain(served, rows, clips, out / "sounds"),
        "kept": lambda: measure_retention(
            served, {"base": base, "words": words, "lora": lora}, others
        ),
        "switch": lambda: measure_switch(served, base, lora, words),
        "live": lambda: measure_live(out, presets, [lora.name, words.name]),
    }
    return {name: _measure_once(out / f"{name}.json", part) for name, part in parts.items()}


def _measure_once(path: Path, part: Callable[[], Any]) -> Any:
    if not path.exists():
        began = time.monotonic()
        found = part()
        path.write_text(json.dumps(found), encoding="utf-8")
        print(f"{path.stem}: {time.monotonic() - began:.1f} s", flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def measure_gain(
    served: Served, presets: Mapping[str, Preset], count: int, sounds: Path
) -> dict[str, list[dict[str, Any]]]:
    """row -> figures of each unseen score: distance and chroma to the true rendering, and what the
    stem is nearest to.

    Nearest: among true renderings of the same score by the instrument and by all that nano was
    shown.
    """
    import soundfile

    from evaluation.corpus.instruments import INSTRUMENTS
    from evaluation.corpus.render import Renderer, find_soundfont
    from evaluation.corpus.scores import TEST_SEEDS, make_score

    renderer = Renderer(find_soundfont(SOUNDFONT))
    sounds.mkdir(exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for index in range(count):
        score = make_score(TEST_SEEDS[FIRST_UNSEEN_SCORE + index], SECONDS)
        shown = {
            each.name: Sound(renderer.render(score, each.program), SAMPLE_RATE_HZ)
            for each in INSTRUMENTS
        }
        true = Sound(renderer.render(score, PROGRAM), SAMPLE_RATE_HZ)
        source = Sound(renderer.render(score, SOURCES[index % len(SOURCES)]), SAMPLE_RATE_HZ)
        stems = {
            "source": source,
            **{name: served.stem(preset, source.samples) for name, preset in presets.items()},
        }
        stems["codec"] = Sound(served.family.editor.reconstruct(true.samples), SAMPLE_RATE_HZ)
        for name, stem in stems.items():
            distances = {PHRASE: log_mel_distance(stem, true)}
            distances |= {other: log_mel_distance(stem, sound) for other, sound in shown.items()}
            nearest = min(distances, key=lambda name: distances[name])
            figures = {"log_mel": distances[PHRASE], "nearest": nearest}
            if name not in map("{:g}".format, SHARES):
                figures["chroma"] = chroma_similarity(stem, true)
            found.setdefault(name, []).append(figures)
        for name, sound in ({**stems, "true": true} if index == 0 else {}).items():
            soundfile.write(sounds / f"{name}.flac", np.clip(sound.samples, -1, 1), SAMPLE_RATE_HZ)
    renderer.close()
    return found


def measure_retention(served: Served, presets: Mapping[str, Preset], count: int) -> dict[str, Any]:
    """row -> accuracy and log-mel distance where other instruments are asked for while the style is
    on.

    `same_at_zero`: a style of weight 0 gives the base's stem to the bit.
    """
    from evaluation.corpus.pairs import PairRenderer, render_pairs
    from evaluation.metrics.judge import Judge

    judge, renderer = Judge.load(), PairRenderer()
    pairs = render_pairs(renderer, count, OTHER_PAIRS_SEED)
    renderer.close()
    found: dict[str, Any] = {name: [] for name in presets}
    for pair, sounds in pairs:
        asks = (Prompt(text=pair.text),)
        for name, preset in presets.items():
            stem = served.stem(
                preset.model_copy(update={"prompts": asks}), sounds["source"].samples
            )
            found[name].append(
                {
                    "right": judge.name(stem) == pair.target,
                    "log_mel": log_mel_distance(stem, sounds["true"]),
                }
            )
    off = presets["lora"].model_copy(
        update={
            "adapters": tuple(
                adapter.model_copy(update={"weight": 0.0}) for adapter in presets["lora"].adapters
            )
        }
    )
    mono = pairs[0][1]["source"].samples
    same = np.array_equal(
        served.stem(off, mono).samples, served.stem(presets["base"], mono).samples
    )
    return {**found, "same_at_zero": bool(same)}


def measure_switch(
    served: Served, base: Preset, lora: Preset, words: Preset
) -> dict[str, list[float]]:
    """Milliseconds: each preset for the first time, then again."""
    served.family._adapters = NanoAdapters()  # nothing was played yet
    times = served.switch_ms([base, lora, words, base, lora, words, base])
    return {"first": times[1:3], "again": times[4:7]}
