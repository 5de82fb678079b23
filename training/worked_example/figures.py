"""Is the style any good, what did it cost the rest, and does it load while a server runs?

Judged is what users get: the exported graphs, presets as files, the family's own way from preset to
stem.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.families.nano.adapters import NanoAdapters
from engine.families.nano.family import NanoFamily
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.knobs import Knobs
from engine.knobs import resolve as resolve_knobs
from engine.progress import ignore_progress, never_cancelled
from evaluation.metrics.similarity import chroma_similarity, log_mel_distance
from evaluation.metrics.sound import Sound
from presets.blending import blend, resolve
from presets.loader import load_preset
from presets.schema import Preset, Prompt
from presets.style import ResolvedStyle

# flute, vibraphone, saxophone, harp, organ, electric piano, clarinet, banjo
SOURCES = (73, 11, 65, 46, 19, 4, 71, 105)
SHARES = (0.25, 0.5, 0.75)
STEM_SEED = 5
OTHER_PAIRS_SEED = 7
# of TEST_SEEDS: neither evaluation.corpus.pairs's nor those of the recordings
FIRST_UNSEEN_SCORE = 60_000
START_SECONDS, STOP_SECONDS = 120.0, 30.0


class Served:
    """nano on its exported graphs, made into `models` if they are not there, wearing presets as a
    job does.
    """

    def __init__(self, models: Path, weights: Path | None = None) -> None:
        from engine.families.nano import exporting
        from engine.runtimes.exported import open_for_parity
        from export import build

        if exporting.load(1, models, weights) is None:
            region = (
                np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32) * 0.1
            )
            build.build(
                exporting.plan(models, region, weights=weights),
                models,
                "float32",
                open_for_parity(1),
            )
        self.family: NanoFamily = exporting.load(1, models, weights)

    def stem(self, preset: Preset, mono_32k: np.ndarray) -> Sound:
        asked, decided = self._decided(preset)
        job = self.family.prepare(asked, decided)
        port = self.family.port(job, ignore_progress, never_cancelled)
        return Sound(port.run(mono_32k).samples, SAMPLE_RATE_HZ)

    def switch_ms(self, presets: list[Preset]) -> list[float]:
        """How long putting each of these presets on took, one after the other."""
        found = []
        for preset in presets:
            asked, decided = self._decided(preset)
            began = time.perf_counter()
            self.family.prepare(asked, decided)
            found.append(1000 * (time.perf_counter() - began))
        return found

    def _decided(self, preset: Preset) -> tuple[ResolvedStyle, Knobs]:
        asked = resolve(preset)
        return asked, resolve_knobs("", {"seed": STEM_SEED}, asked, self.family.defaults)[0]


def measured(out: Path, presets: Path, clips: int, others: int) -> dict[str, Any]:
    """All figures; each part is kept in `out` and not measured again."""
    from training.worked_example.example import PHRASE

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
        "gain": lambda: gained(served, rows, clips, out / "sounds"),
        "kept": lambda: kept(served, {"base": base, "words": words, "lora": lora}, others),
        "switch": lambda: switched(served, base, lora, words),
        "live": lambda: live(out, presets, [lora.name, words.name]),
    }
    return {name: _once(out / f"{name}.json", part) for name, part in parts.items()}


def _once(path: Path, part: Callable[[], Any]) -> Any:
    if not path.exists():
        began = time.monotonic()
        found = part()
        path.write_text(json.dumps(found), encoding="utf-8")
        print(f"{path.stem}: {time.monotonic() - began:.1f} s", flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def gained(
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
    from training.worked_example.example import PHRASE, PROGRAM, SECONDS, SOUNDFONT

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
            figures = {"log_mel": distances[PHRASE], "nearest": min(distances, key=distances.get)}
            if name not in map("{:g}".format, SHARES):
                figures["chroma"] = chroma_similarity(stem, true)
            found.setdefault(name, []).append(figures)
        for name, sound in ({**stems, "true": true} if index == 0 else {}).items():
            soundfile.write(sounds / f"{name}.flac", np.clip(sound.samples, -1, 1), SAMPLE_RATE_HZ)
    renderer.close()
    return found


def kept(served: Served, presets: Mapping[str, Preset], count: int) -> dict[str, Any]:
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


def switched(served: Served, base: Preset, lora: Preset, words: Preset) -> dict[str, list[float]]:
    """Milliseconds: each preset for the first time, then again."""
    served.family._adapters = NanoAdapters()  # nothing was played yet
    times = served.switch_ms([base, lora, words, base, lora, words, base])
    return {"first": times[1:3], "again": times[4:7]}


def live(out: Path, presets: Path, names: list[str]) -> dict[str, Any]:
    """A server runs; only then the presets come. Seconds of each job from its manifest, in the
    order of the jobs.
    """
    import soundfile
    from retimbre_client import Client

    from training.worked_example.example import PHRASE

    data, own = out / "live", out / "live" / "own_presets"
    shutil.rmtree(data, ignore_errors=True)
    own.mkdir(parents=True)
    source, _ = soundfile.read(out / "sounds" / "source.flac")
    soundfile.write(data / "region.wav", source, SAMPLE_RATE_HZ)
    jobs: list[dict[str, Any]] = []
    with _serving(data, own, out / "models") as port, Client(port=port) as client:

        def edit(label: str, **keys: Any) -> None:
            done = client.edit(str((data / "region.wav").resolve()), PHRASE, seed=STEM_SEED, **keys)
            manifest = json.loads(Path(done.manifest).read_text(encoding="utf-8"))
            jobs.append({"label": label, "notes": manifest["notes"], **manifest["timings_seconds"]})

        edit("loading")
        edit("base")
        began = time.perf_counter()
        for name in names:
            shutil.copytree(presets / name, own / name)
        count = client.reload_presets()
        reload_ms = 1000 * (time.perf_counter() - began)
        for label in (*names, *names):
            edit(label, preset=label)
        client.blend(dict.fromkeys(names, 0.5))
        edit("blend")
        edit("harp", preset="harp")
    return {"jobs": jobs, "reload_ms": reload_ms, "presets": count}


@contextmanager
def _serving(data: Path, presets: Path, models: Path) -> Iterator[int]:
    """The port of a server of our own."""
    from server.paths import Paths, read_port_file

    command = [
        sys.executable,
        "-m",
        "server",
        "serve",
        "--data-dir",
        str(data),
        "--port",
        "0",
        "--http-port",
        "0",
        "--announce",
        "never",
        "--presets-dir",
        str(presets),
        "--models-dir",
        str(models.resolve()),
        "--root",
        str(data.resolve()),
        "--threads",
        "1",
    ]
    with open(data / "server.log", "w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            ends_at = time.monotonic() + START_SECONDS
            while not (address := read_port_file(Paths.under(data).port_file)):
                if process.poll() is not None or time.monotonic() > ends_at:
                    raise RuntimeError(f"the server did not start; {data / 'server.log'} says why")
                time.sleep(0.05)
            yield address.port
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
