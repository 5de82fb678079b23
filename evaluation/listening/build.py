"""How is a blind test built? Stimuli equally loud and long, at one rate; key.json tells.

TEST/test/index.html, page.css, page.js    open this, or put the folder on any web server
TEST/test/trials.js, audio/*.wav           the questions; the stimuli
TEST/webmushra/retimbre.yaml               the same as a webMUSHRA experiment
TEST/key.json                              which method made a stimulus: not for listeners
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio.loudness import loudness, peak
from evaluation.corpus.results import FileRegion, Result, ResultsError, read_samples
from evaluation.listening.webmushra import experiment

PAGE = Path(__file__).parent / "page"
RATE_HZ = 48_000  # of every stimulus: the rate must not tell the model
TARGET_LUFS = -23.0  # EBU R 128: leaves room for the peaks of nearly anything
# -1 dBFS; where the loudest peak would exceed it, all stimuli are made quieter alike
HIGHEST_PEAK = 10 ** (-1 / 20)
FADE_SECONDS = 0.01
ANCHOR = "source unchanged"
# the three questions of AP-Adapter's listening test, in plain words: id -> (of one, of two)
QUESTIONS = {
    "words": ("How well does it fit the words?", "Which fits the words better?"),
    "notes": (
        "How well does it keep the notes and the timing of the original?",
        "Which keeps the notes and the timing of the original better?",
    ),
    "sound": ("How good does it sound?", "Which would you rather use?"),
}
KINDS = ("ab", "mos")


@dataclass
class _Test:
    """A test under construction: its stimuli by name, and the content of trials.js and key.json."""

    random: np.random.Generator
    stimuli: dict[str, tuple[FileRegion, str]] = field(default_factory=dict)  # name -> (_, piece)
    key: dict[str, dict[str, str]] = field(default_factory=dict)  # name -> method, …
    trials: list[dict[str, Any]] = field(default_factory=list)

    def add_stimulus(self, region: FileRegion, piece: str, method: str) -> str:
        """A new name that says nothing; each use has its own, so that none is recognised."""
        while (name := f"{self.random.integers(2**40):010x}") in self.stimuli:
            pass
        self.stimuli[name] = region, piece
        self.key[name] = {"piece": piece, "method": method, "path": str(region.path)}
        return name


def build(
    rows: Sequence[Result],
    folder: Path,
    *,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
    pieces: int = 0,
    with_anchor: bool = False,
) -> dict[str, Any]:
    """Write the test into a new folder; returns the key. ResultsError.

    A/B: every two methods on every piece (the name of a result); MOS: every method on every piece.
    `pieces`: that many, drawn by seed (0: all). The same results and seed give the same test, byte
    for byte.
    """
    if folder.exists():
        raise ResultsError(
            f"{folder} is there already; "
            "a test is never overwritten, because answers may refer to it"
        )
    random = np.random.default_rng([0xAB, seed])
    by_piece = _pieces(rows, pieces, random)
    test = _Test(random)
    for piece, ours in by_piece.items():
        _add_trials(test, piece, ours, kinds, with_anchor)
    if not test.trials:
        raise ResultsError(
            "no trials: A/B needs two methods on one name; "
            "give a column method, or ask for --kind mos"
        )
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an earlier try that was interrupted
    level_lufs = _write_stimuli(test, partial / "test" / "audio")
    key = _write_texts(test, partial, seed, level_lufs)
    partial.rename(folder)
    return key


def _pieces(
    rows: Sequence[Result], count: int, random: np.random.Generator
) -> Mapping[str, Mapping[str, Result]]:
    """name -> method -> row."""
    found: dict[str, dict[str, Result]] = {}
    for row in rows:
        if row.method in found.setdefault(row.name, {}):
            raise ResultsError(
                f"two rows are named {row.name!r} and made by {row.method!r}; "
                "give each its own name"
            )
        found[row.name][row.method] = row
    names = sorted(found)
    chosen = (
        sorted(random.choice(len(names), min(count, len(names)), replace=False))
        if count
        else range(len(names))
    )
    return {names[index]: found[names[index]] for index in chosen}


def _add_trials(
    test: _Test, piece: str, rows: Mapping[str, Result], kinds: Sequence[str], with_anchor: bool
) -> None:
    first = next(iter(rows.values()))
    if with_anchor and first.source:
        rows = {
            **rows,
            ANCHOR: Result(piece, first.source, first.text, first.source, method=ANCHOR),
        }
    groups: list[tuple[str, tuple[str, ...]]] = []
    if "ab" in kinds:
        groups += [("ab", pair) for pair in combinations(sorted(set(rows) - {ANCHOR}), 2)]
    if "mos" in kinds:
        groups += [("mos", (method,)) for method in sorted(rows)]
    for kind, methods in groups:
        shuffled = [methods[index] for index in test.random.permutation(len(methods))]
        original = test.add_stimulus(first.source, piece, "source") if first.source else None
        test.trials.append(
            {
                "id": f"t{len(test.trials) + 1:03d}",
                "kind": kind,
                "piece": piece,
                "text": first.text,
                "original": original,
                "stimuli": [
                    test.add_stimulus(rows[method].output, piece, method) for method in shuffled
                ],
                "questions": [
                    {"id": name, "text": texts[kind == "ab"]}
                    for name, texts in QUESTIONS.items()
                    if (name != "words" or first.text) and (name != "notes" or original)
                ],
            }
        )


def _write_stimuli(test: _Test, folder: Path) -> float:
    """Every stimulus as 16-bit WAV; the loudness that all have."""
    import soundfile

    folder.mkdir(parents=True)
    seconds: dict[str, float] = {}
    for region, piece in test.stimuli.values():
        samples, rate_hz = read_samples(region)
        seconds[piece] = min(seconds.get(piece, np.inf), len(samples) / rate_hz)
    level_lufs = min(
        TARGET_LUFS, *(_highest_level(*stimulus, seconds) for stimulus in test.stimuli.values())
    )
    for name, (region, piece) in test.stimuli.items():
        samples = _prepare(region, seconds[piece])
        samples *= np.float32(10 ** ((level_lufs - loudness(samples, RATE_HZ)) / 20))
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ, subtype="PCM_16")
    return level_lufs


def _prepare(region: FileRegion, seconds: float) -> np.ndarray:
    """At the common rate, cut to the piece's shortest, with edges that do not click.

    ResultsError for silence.
    """
    import soxr

    samples, rate_hz = read_samples(region)
    samples = soxr.resample(samples, rate_hz, RATE_HZ)[: int(seconds * RATE_HZ)].astype(np.float32)
    if not np.isfinite(loudness(samples, RATE_HZ)):
        raise ResultsError(
            f"{region.path} is silent; a silent stimulus cannot be made as loud as the others"
        )
    fade = min(int(FADE_SECONDS * RATE_HZ), len(samples) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    samples[:fade] *= ramp
    samples[len(samples) - fade :] *= ramp[::-1]
    return samples


def _highest_level(region: FileRegion, piece: str, seconds: Mapping[str, float]) -> float:
    """The loudness at which this stimulus peaks at the ceiling."""
    samples = _prepare(region, seconds[piece])
    return loudness(samples, RATE_HZ) + 20 * float(np.log10(HIGHEST_PEAK / peak(samples)))


def _write_texts(test: _Test, folder: Path, seed: int, level_lufs: float) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps([seed, test.key, test.trials]).encode()).hexdigest()[:12]
    for file in PAGE.iterdir():
        shutil.copyfile(file, folder / "test" / file.name)
    asked = {
        "test": digest,
        "trials": [{k: v for k, v in trial.items() if k != "piece"} for trial in test.trials],
    }
    script = f"window.LISTENING_TEST = {json.dumps(asked, ensure_ascii=False, indent=1)};\n"
    # a script: a page in a folder may not fetch
    (folder / "test" / "trials.js").write_text(script, encoding="utf-8")
    (folder / "webmushra").mkdir()
    (folder / "webmushra" / "retimbre.yaml").write_text(
        experiment(digest, test.trials), encoding="utf-8"
    )
    key = {
        "schema": 1,
        "test": digest,
        "seed": seed,
        "loudness_lufs": round(level_lufs, 2),
        "stimuli": test.key,
        "trials": test.trials,
    }
    (folder / "key.json").write_text(
        json.dumps(key, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return key
