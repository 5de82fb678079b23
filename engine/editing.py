"""The main job: a region and a few words in, stems and their manifest out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.audio.files import (
    Audio,
    FileInfo,
    RegionAudio,
    RegionBounds,
    StemFormat,
    locate_region,
    loudness,
    peak,
    read_located,
    sha256_of,
    stem_format,
    write_audio,
)
from engine.audio.identity import FileIdentity
from engine.audio.loudness import to_db
from engine.audio.region import LEVELS, ModelPort, Stem, check_length, context_seconds, run_region
from engine.audio.scene import ScenePort, run_scene
from engine.errors import Cancelled, EngineError
from engine.families.registry import Family, ModelCache, family_named
from engine.hearing import tempo
from engine.knobs import resolve
from engine.manifest import SCHEMA, Manifest, file_hashes, now, versions, write_manifest
from engine.runtimes.runner import threads_for
from presets.errors import PresetError
from presets.style import ResolvedStyle

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
    progress: Callable[[str, float], None] = lambda stage, fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    shelf: ModelCache | None = None,
) -> Manifest:
    """Make the stems of a request and write them with their manifest.

    Blocks; one call at a time for one shelf.

    `progress(stage, fraction)` is called from this thread. EngineError: any code of ERROR_CODES;
    then nothing is left.
    """
    clock = _StageClock(progress)
    shelf = shelf or default_shelf()
    family = family_named(request.model)
    bounds, stem_kind = _checked(request, family)
    style = request.style
    knobs, notes = resolve(request.text, request.knobs, style, family.defaults)
    notes += _idle(request.knobs, family)
    loaded = _loaded(shelf, family, clock, cancelled)
    job = loaded.prepare(style, knobs)
    port = loaded.port(job, clock, cancelled)
    clock.enter("reading")
    region = _read(bounds, port)
    run = run_scene if isinstance(port, ScenePort) else run_region
    stems = run(region, _announcing(port, clock), request.level)
    if cancelled():
        raise Cancelled
    clock("writing", WRITING)
    rows: list[dict[str, Any]] = []
    values = {
        "schema": SCHEMA,
        "created": now(),
        "input": _input_row(region),
        "text": request.text,
        "preset": request.preset,
        "knobs": {**knobs.as_dict(), "level": request.level},
        "seed": knobs.seed,
        "model": {
            "name": family.name,
            "licence": family.licence,
            "files": file_hashes(loaded.files()),
        },
        "versions": versions(),
        "runtime": loaded.runtime,
        "device": f"{loaded.device}, {shelf.threads} threads",
        "stems": rows,
        "notes": [*notes, *job.notes, *stem_kind.notes, *_told(stems)],
        "context": request.context,
    }
    try:
        for stem in stems:
            rows.append(_written(request, stem, bounds.info, stem_kind))
        return write_manifest(Path(request.output_dir), {**values, "timings_seconds": clock.laps()})
    except EngineError:
        for row in rows:  # stems without their manifest are half a result
            Path(row["path"]).unlink(missing_ok=True)
        raise


class _StageClock:
    """Passes progress on and remembers how long each stage took: the manifest's `timings_seconds`."""

    def __init__(self, progress: Callable[[str, float], None]) -> None:
        self._progress, self._seconds = progress, {}
        self._began = self._since = time.perf_counter()
        self._stage = "checking"

    def __call__(self, stage: str, fraction: float) -> None:
        self.enter(stage)
        self._progress(stage, fraction)

    def enter(self, stage: str) -> None:
        """A stage that the client is not told of."""
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
def default_shelf() -> ModelCache:
    """The families of this process, for callers without a worker."""
    return ModelCache(threads_for())


def _checked(request: EditRequest, family: Family) -> tuple[RegionBounds, StemFormat]:
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


def _idle(knobs: Mapping[str, Any], family: Family) -> list[str]:
    """A note on knobs that were turned and do nothing."""
    names = sorted(set(knobs) - set(family.defaults))
    return [f"knobs: {', '.join(names)} mean nothing to {family.name}"] if names else []


def _loaded(
    shelf: ModelCache,
    family: Family,
    progress: Callable[[str, float], None],
    cancelled: Callable[[], bool],
) -> Any:
    if not shelf.is_loaded(family.name):
        progress("loading", -1.0)
    return shelf.warm(family.name, cancelled, progress)


def _read(bounds: RegionBounds, port: ModelPort | ScenePort) -> RegionAudio:
    context = (
        port.context_seconds
        if isinstance(port, ScenePort)
        else context_seconds(bounds.frames, bounds.info.rate_hz, port)
    )
    return read_located(bounds, context)


def _announcing(
    port: ModelPort | ScenePort, progress: Callable[[str, float], None]
) -> ModelPort | ScenePort:
    """The port, with a word when the model is done."""

    def run(heard: Any) -> Any:
        answer = port.run(heard)
        progress("fitting", FITTING)
        return answer

    return replace(port, run=run)


def _told(stems: list[Stem]) -> list[str]:
    """What the stems have to say: once, where all say the same, otherwise with the stem's name."""
    shared = [note for note in stems[0].notes if all(note in stem.notes for stem in stems)]
    return shared + [
        f"{stem.name}: {note}" for stem in stems for note in stem.notes if note not in shared
    ]


def _written(request: EditRequest, stem: Stem, info: FileInfo, kind: StemFormat) -> dict[str, Any]:
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
        "peak_dbfs": _rounded(to_db(peak(audio.samples))),
        "loudness_lufs": _rounded(loudness(audio.samples, audio.rate_hz)),
        **tempo.compare(stem.source_mono, stem.stem_mono, stem.mono_rate_hz),
    }


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


def _rounded(value: float) -> float:
    return round(value, 2)
