"""The main job: a region and a few words in, stems and their manifest out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from engine.audio.files import FileInfo, sha256_of
from engine.audio.identity import FileIdentity
from engine.audio.loudness import loudness, peak, to_db
from engine.audio.reading import Audio, RegionAudio, RegionBounds, locate_region, read_located
from engine.audio.region import LEVELS, ModelPort, Stem, check_length, context_seconds, run_region
from engine.audio.scene import ScenePort, run_scene
from engine.audio.writing import StemFormat, stem_format, write_audio
from engine.errors import Cancelled, EngineError
from engine.families.registry import Family, LoadedFamily, ModelCache, family_named
from engine.hearing import tempo
from engine.knobs import resolve
from engine.manifest import SCHEMA, Manifest, file_hashes, now, versions, write_manifest
from engine.progress import IsCancelled, Progress, ignore_progress, never_cancelled
from engine.runtimes.runner import threads_for
from presets.errors import PresetError
from presets.knobs import KNOBS
from presets.style import ResolvedStyle

Heard = TypeVar("Heard")
Answer = TypeVar("Answer")

FITTING, WRITING = 0.95, 0.98  # fractions of the job at which these begin

_TEXT, _NUMBER, _OBJECT = ((str,), "text"), ((float, int), "a number"), ((dict,), "an object")
_FIELD_TYPES = {
    **dict.fromkeys(
        ("audio", "text", "output_dir", "model", "format", "bits", "level", "stem_prefix"), _TEXT
    ),
    **dict.fromkeys(("start_seconds", "length_seconds"), _NUMBER),
    **dict.fromkeys(("preset", "knobs", "context", "audio_identity"), _OBJECT),
}
_REQUIRED = ("audio", "text", "output_dir")


@dataclass(frozen=True)
class EditRequest:
    """What the worker is asked for; the server has checked the paths and resolved the preset."""

    audio: str
    text: str
    output_dir: str
    start_seconds: float | None = None  # None: 0
    length_seconds: float | None = None  # None: to the end
    model: str = "nano"
    preset: Mapping[str, Any] | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None  # None or "same": as the input
    bits: str | None = None
    level: str = "match"
    stem_prefix: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)  # copied into the manifest
    # fields of FileIdentity: the file that the server has checked
    audio_identity: Mapping[str, int] | None = None

    @property
    def expected(self) -> FileIdentity | None:
        """The file that `audio` must still be; None: any. EngineError bad_args."""
        try:
            return FileIdentity(**self.audio_identity) if self.audio_identity else None
        except TypeError as error:
            raise EngineError("bad_args", f"audio_identity: {error}") from error

    @property
    def style(self) -> ResolvedStyle:
        """The preset, typed; an empty style where there is none. EngineError bad_preset."""
        try:
            return ResolvedStyle.from_json(self.preset or {})
        except PresetError as error:
            raise EngineError(error.code, error.message) from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EditRequest:
        """From decoded JSON; null means not given. EngineError bad_args."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise EngineError(
                "bad_args", f"unknown field {unknown[0]!r}; there are {', '.join(sorted(known))}"
            )
        given = {name: value for name, value in values.items() if value is not None}
        for name, (types, word) in _FIELD_TYPES.items():
            is_missing = name in _REQUIRED and name not in given
            if (
                is_missing
                or isinstance(given.get(name), bool)
                or not isinstance(given.get(name, types[0]()), types)
            ):
                raise EngineError(
                    "bad_args", f"{name}: expected {word}, got {given.get(name)!r:.60}"
                )
        return cls(**given)


def edit(
    request: EditRequest,
    *,
    progress: Progress = ignore_progress,
    cancelled: IsCancelled = never_cancelled,
    model_cache: ModelCache | None = None,
) -> Manifest:
    """Make the stems of a request and write them with their manifest.

    Blocks; one call at a time for one model cache. `progress` is called from this thread.
    EngineError: any code of ERROR_CODES; then nothing is left.
    """
    clock = _StageClock(progress)
    model_cache = model_cache or default_model_cache()
    family = family_named(request.model)
    bounds, stem_kind = _check(request, family)
    knobs, notes = resolve(request.text, request.knobs, request.style, family.defaults)
    notes += _note_unused_knobs(request.knobs, family)
    if not model_cache.is_loaded(family.name):
        clock("loading", -1.0)
    loaded = model_cache.warm(family.name, cancelled, clock)
    job = loaded.prepare(request.style, knobs)
    port = loaded.port(job, clock, cancelled)
    clock.enter("reading")
    region, stems = _run(port, bounds, request.level, clock)
    if cancelled():
        raise Cancelled
    clock("writing", WRITING)
    values = {
        "schema": SCHEMA,
        "created": now(),
        "input": _input_row(region),
        "text": request.text,
        "preset": request.preset,
        "knobs": {**knobs.as_dict(), "level": request.level},
        "seed": knobs.seed,
        "model": _model_row(family, loaded),
        "versions": versions(),
        "runtime": loaded.runtime,
        "device": f"{loaded.device}, {model_cache.threads} threads",
        "stems": [],
        "notes": [*notes, *job.notes, *stem_kind.notes, *_collect_notes(stems)],
        "context": request.context,
    }
    return _write_all(request, stems, bounds.info, stem_kind, values, clock)


class _StageClock:
    """Passes progress on, and measures each stage for the manifest's `timings_seconds`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._seconds: dict[str, float] = {}
        self._began = self._since = time.perf_counter()
        self._stage = "checking"

    def __call__(self, stage: str, fraction: float) -> None:
        self.enter(stage)
        self._progress(stage, fraction)

    def enter(self, stage: str) -> None:
        """Begin a stage that the client does not hear of."""
        if stage != self._stage:
            now = time.perf_counter()
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + now - self._since
            self._stage, self._since = stage, now

    def laps(self) -> dict[str, float]:
        """Seconds of every stage so far, and their `total`."""
        self.enter("")
        rounded = {stage: round(seconds, 4) for stage, seconds in self._seconds.items()}
        return {**rounded, "total": round(time.perf_counter() - self._began, 4)}


@lru_cache(maxsize=1)
def default_model_cache() -> ModelCache:
    """The families of this process, for callers without a worker."""
    return ModelCache(threads_for())


def _check(request: EditRequest, family: Family) -> tuple[RegionBounds, StemFormat]:
    """Everything that can be refused before a model is loaded."""
    family.check_style(request.style)
    if request.level not in LEVELS:
        raise EngineError(
            "bad_args", f"level: expected one of {', '.join(LEVELS)}, got {request.level!r}"
        )
    if not Path(request.output_dir).is_dir():
        raise EngineError(
            "write_failed", f"expected the folder {request.output_dir}, it is not there; create it"
        )
    bounds = locate_region(
        request.audio, request.start_seconds, request.length_seconds, request.expected
    )
    check_length(bounds.frames, bounds.info.rate_hz, family.max_seconds)
    return bounds, stem_format(bounds.info, request.format, request.bits)


def _note_unused_knobs(knobs: Mapping[str, Any], family: Family) -> list[str]:
    """A note on knobs that were set and have no effect on this family."""
    names = sorted(name for name in knobs if family.name not in KNOBS[name].families)
    return [f"knobs: {', '.join(names)} mean nothing to {family.name}"] if names else []


def _run(
    port: ModelPort | ScenePort, bounds: RegionBounds, level: str, progress: Progress
) -> tuple[RegionAudio, list[Stem]]:
    """The region with the context that the model can use, and its stems."""
    if isinstance(port, ScenePort):
        region = read_located(bounds, port.context_seconds)
        scene = replace(port, run=_then(port.run, lambda: progress("fitting", FITTING)))
        return region, run_scene(region, scene, level)
    context = context_seconds(bounds.frames, bounds.info.rate_hz, port)
    region = read_located(bounds, context)
    model = replace(port, run=_then(port.run, lambda: progress("fitting", FITTING)))
    return region, run_region(region, model, level)


def _then(run: Callable[[Heard], Answer], say: Callable[[], None]) -> Callable[[Heard], Answer]:
    """The same call, and a word when it is done."""

    def run_and_say(heard: Heard) -> Answer:
        answer = run(heard)
        say()
        return answer

    return run_and_say


def _collect_notes(stems: list[Stem]) -> list[str]:
    """The stems' notes: once where all have the same, otherwise with the stem's name."""
    shared = [note for note in stems[0].notes if all(note in stem.notes for stem in stems)]
    return shared + [
        f"{stem.name}: {note}" for stem in stems for note in stem.notes if note not in shared
    ]


def _write_all(
    request: EditRequest,
    stems: list[Stem],
    info: FileInfo,
    kind: StemFormat,
    values: Mapping[str, Any],
    clock: _StageClock,
) -> Manifest:
    """Write the stems and then their manifest; nothing is left where one of them fails."""
    rows: list[dict[str, Any]] = []
    try:
        for stem in stems:
            rows.append(_write_stem(request, stem, info, kind))
        whole = {**values, "stems": rows, "timings_seconds": clock.laps()}
        return write_manifest(Path(request.output_dir), whole)
    except EngineError:
        for row in rows:  # stems without their manifest are half a result
            Path(row["path"]).unlink(missing_ok=True)
        raise


def _write_stem(
    request: EditRequest, stem: Stem, info: FileInfo, kind: StemFormat
) -> dict[str, Any]:
    """Write the stem; its row in the manifest."""
    prefix = request.stem_prefix or "stem"
    name = f"{prefix}_{stem.name}{kind.suffix}" if stem.name else f"{prefix}{kind.suffix}"
    audio = Audio(stem.samples, info.rate_hz)
    path = write_audio(
        Path(request.output_dir).resolve() / name, audio, kind.container, kind.subtype
    )
    return {
        "name": stem.name
        or (request.preset or {}).get("task", family_named(request.model).tasks[0]),
        "path": str(path),
        "sha256": sha256_of(path),
        "rate_hz": audio.rate_hz,
        "channels": audio.channels,
        "frames": audio.frames,
        "subtype": kind.subtype,
        "peak_dbfs": _round(to_db(peak(audio.samples))),
        "loudness_lufs": _round(loudness(audio.samples, audio.rate_hz)),
        **tempo.compare(stem.source_mono, stem.stem_mono, stem.mono_rate_hz),
    }


def _model_row(family: Family, loaded: LoadedFamily[Any]) -> dict[str, Any]:
    files = file_hashes(loaded.files())
    return {"name": family.name, "licence": family.licence, "files": files}


def _input_row(region: RegionAudio) -> dict[str, Any]:
    info = region.info
    return {
        "path": str(info.path),
        "sha256": sha256_of(info.path, info.identity),
        "rate_hz": info.rate_hz,
        "channels": info.channels,
        "frames": info.frames,
        "start_frame": region.start_frame,
        "region_frames": region.frames,
        "container": info.container,
        "subtype": info.subtype,
    }


def _round(value: float) -> float:
    return round(value, 2)
