"""What is a job asked to do?

    request --> SpecBuilder --> JobSpec --> to_json --> journal --> from_json --> JobSpec
                                        --> the worker's requests (`server.jobs.stems`)

Everything is resolved once, so that the job can be run again any time.
"""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from engine.errors import EngineError
from engine.families.registry import check_style
from presets import Library, PresetError, ResolvedStyle, resolve
from server.errors import RequestError
from server.files.sandbox import AudioFile, Sandbox

# exclusive: a float of single precision (Pd has no integers) holds every seed below exactly
MAX_SEED = 2**24
# keys of an edit that have a field of their own; the others are options
FIELD_KEYS = (
    "start",
    "length",
    "preset",
    "model",
    "seed",
    "takes",
    "out",
    "priority",
    "deadline",
    "beats_start",
)


@dataclass(frozen=True)
class JobSpec:
    """An edit: which audio, what is made of it, and where the stems go."""

    op: ClassVar[str] = "edit"

    audio: AudioFile
    text: str
    model: str
    seed: int  # of the first take
    preset: ResolvedStyle | None = None
    start_seconds: float = 0.0
    length_seconds: float = 0.0  # 0: to the end of the file
    takes: int = 1
    output_folder: str = ""  # where the client wants copies of the stems; "": nowhere
    beats_start: float = 0.0  # the client's position of the region, which comes back with each stem
    priority: int = 0
    deadline_seconds: float = 0.0  # from the arrival; 0: none
    # the request's other keys: knobs, and the stems' format, bits and level
    options: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)  # is copied into the manifests

    def to_json(self) -> dict[str, Any]:
        """The form of the journal, which every version of the server reads."""
        return {
            "audio": self.audio.to_json(),
            "text": self.text,
            "preset": self.preset.to_json() if self.preset else None,
            "model": self.model,
            "start": self.start_seconds,
            "length": self.length_seconds,
            "takes": self.takes,
            "seed": self.seed,
            "out": self.output_folder,
            "beats_start": self.beats_start,
            "priority": self.priority,
            "deadline": self.deadline_seconds,
            "keys": dict(self.options),
            "context": dict(self.context),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobSpec:
        """What `to_json` wrote, also where an older version wrote fewer keys."""
        preset = values.get("preset")
        return cls(
            audio=AudioFile.from_json(values["audio"]),
            text=values["text"],
            model=values["model"],
            seed=values["seed"],
            preset=ResolvedStyle.from_json(preset) if preset else None,
            start_seconds=values.get("start", 0.0),
            length_seconds=values.get("length", 0.0),
            takes=values.get("takes", 1),
            output_folder=values.get("out", ""),
            beats_start=values.get("beats_start", 0.0),
            priority=values.get("priority", 0),
            deadline_seconds=values.get("deadline", 0.0),
            options=values.get("keys", {}),
            context=values.get("context", {}),
        )


@dataclass(frozen=True)
class ModelSpec:
    """A model is to be loaded or unloaded. It waits in the queue as an edit without wishes does."""

    op: str  # load or unload
    model: str

    seed: ClassVar[int] = 0
    takes: ClassVar[int] = 1
    priority: ClassVar[int] = 0
    deadline_seconds: ClassVar[float] = 0.0


class SpecBuilder:
    """Makes a JobSpec of a request.

    `default_model` is used where neither a key nor the preset names one.
    """

    def __init__(self, library: Library, sandbox: Sandbox, default_model: str) -> None:
        self._library, self._sandbox, self._default_model = library, sandbox, default_model

    def edit(self, audio: str, text: str, keys: Mapping[str, Any]) -> JobSpec:
        """Of a new edit. Touches the disk: call it from a file thread. Raises RequestError."""
        return self._build(audio, text, self._find_preset(keys.get("preset", ""), text), keys)

    def again(self, earlier: JobSpec, keys: Mapping[str, Any]) -> JobSpec:
        """Of an earlier edit with changes. Touches the disk. Raises RequestError.

        Without changes it has the same seed, so the same audio is made.
        """
        preset = (
            self._find_preset(keys["preset"], earlier.text) if "preset" in keys else earlier.preset
        )
        return self._build(earlier.audio.path, earlier.text, preset, keys, earlier)

    def check_preset(self, name: str) -> None:
        """Raises RequestError(unknown_preset) that names the nearest. No name is always right."""
        self._find_preset(name, "")

    def _build(
        self,
        audio: str,
        text: str,
        preset: ResolvedStyle | None,
        keys: Mapping[str, Any],
        earlier: JobSpec | None = None,
    ) -> JobSpec:
        _check_words(text, preset)
        file = self._sandbox.audio_file(audio)
        base = earlier or JobSpec(file, text, "", -1)
        takes = keys.get("takes", base.takes)
        out = keys.get("out")
        options = {name: value for name, value in keys.items() if name not in FIELD_KEYS}
        model = self._choose_model(base.model, preset, keys)
        _check_style(model, preset)
        return JobSpec(
            audio=file,
            text=text,
            preset=preset,
            model=model,
            seed=_choose_seed(earlier, preset, keys, takes),
            start_seconds=keys.get("start", base.start_seconds),
            length_seconds=keys.get("length", base.length_seconds),
            takes=takes,
            output_folder=str(self._sandbox.folder(out)) if out else base.output_folder,
            beats_start=keys.get("beats_start", base.beats_start),
            priority=keys.get("priority", 0),
            deadline_seconds=keys.get("deadline", 0.0),
            options={**base.options, **options},
        )

    def _find_preset(self, name: str, text: str) -> ResolvedStyle | None:
        if not name:
            return None
        try:
            return resolve(self._library.find(name), text)
        except PresetError as error:
            raise RequestError(error.code, error.message) from error

    def _choose_model(
        self, earlier: str, preset: ResolvedStyle | None, keys: Mapping[str, Any]
    ) -> str:
        requested = keys.get("model") or ("" if "preset" in keys else earlier)
        if preset and preset.model and requested not in ("", preset.model):
            raise RequestError(
                "bad_args",
                f"preset {preset.name} plays on model {preset.model}, and model {requested} was "
                "asked for; leave the model out",
            )
        return requested or (preset.model if preset else "") or self._default_model


def _check_style(model: str, preset: ResolvedStyle | None) -> None:
    """Refuse before the job is acknowledged what its model would refuse after waiting."""
    try:
        check_style(model, preset or ResolvedStyle())
    except EngineError as error:
        raise RequestError(error.code, error.message) from error


def _choose_seed(
    earlier: JobSpec | None, preset: ResolvedStyle | None, keys: Mapping[str, Any], takes: int
) -> int:
    """The key's, else the earlier job's, else the preset's; -1 in any of them: a new one."""
    stated = (
        keys.get("seed"),
        earlier.seed if earlier else None,
        preset.knobs.get("seed") if preset else None,
    )
    seed = next((int(seed) for seed in stated if seed is not None), -1)
    return seed if seed >= 0 else new_seed(takes)


def new_seed(takes: int = 1) -> int:
    """A random seed for the first of so many takes."""
    return secrets.randbelow(MAX_SEED - takes)


def _check_words(text: str, preset: ResolvedStyle | None) -> None:
    if not text.strip() and not preset:
        raise RequestError(
            "bad_args",
            'text: expected what to do, in words ("turn this into a violin"), or a preset; '
            "neither came",
        )


def check_model(name: str, models: list[dict[str, Any]]) -> None:
    """Raises RequestError(unknown_model) that names the nearest.

    Passes where the engine has not said which models it has.
    """
    names = [model["name"] for model in models]
    if name and names and name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise RequestError(
            "unknown_model",
            f"no model is called {name!r}; "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"),
        )
