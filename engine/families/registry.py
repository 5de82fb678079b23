"""Which model families are there, what does each take, and which of them are loaded?"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from engine.errors import EngineError
from engine.knobs import Knobs
from engine.progress import IsCancelled, Progress
from engine.stages import Stage
from export.manifest import FOLDER as EXPORTS
from export.manifest import find_unfit
from presets.style import ResolvedStyle

if TYPE_CHECKING:  # the server reads this table and has no use for numpy
    from engine.audio.region import ModelPort
    from engine.audio.scene import ScenePort

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedJob:
    """What a family has made ready for one job. Families add what their port needs."""

    knobs: Knobs
    notes: tuple[str, ...]  # for the manifest


Prepared = TypeVar("Prepared", bound=PreparedJob)


class LoadedFamily(Protocol[Prepared]):
    """What a family can do once its weights are there. One thread at a time."""

    runtime: str  # what computes, for the manifest
    device: str

    def files(self) -> Mapping[str, Path]: ...

    def warm_up(self, cancelled: IsCancelled, progress: Progress) -> None:
        """Read all that serving needs.

        Tells progress `loading` only while there is something to read.
        """

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> Prepared:
        """Put the style's tensors on the model. EngineError bad_preset, missing_weights."""

    def port(
        self, job: Prepared, progress: Progress, cancelled: IsCancelled
    ) -> ModelPort | ScenePort:
        """The model as the region contract wants it, for the job that was prepared last."""

    def close(self) -> None:
        """Give back memory that does not go with the object, such as a graphics card's."""


@dataclass(frozen=True)
class Family:
    """One row of the menu; nothing is loaded by having it."""

    name: str
    title: str
    licence: str
    tasks: tuple[str, ...]
    max_seconds: float
    # `.stages` has STAGES; `.family` has defaults(), missing(models) and load(threads, models)
    module: str
    takes: tuple[str, ...] = ()  # of a preset's tensors: "adapters", "soft_prompt"
    # `.exporting` has plan(models, region, advance), load(threads, models) or None, weight_files
    exports: bool = False

    @property
    def is_restricted(self) -> bool:
        """Whether the licence must be shown because it forbids what people commonly do."""
        return any(word in self.licence for word in ("non-commercial", "only below"))

    def check_style(self, style: ResolvedStyle) -> None:
        """EngineError bad_preset for what the family cannot do: it is never left out in silence."""
        if (style.task or self.tasks[0]) not in self.tasks:
            raise EngineError(
                "bad_preset",
                f"the preset asks for {style.task}, {self.name} does {', '.join(self.tasks)}",
            )
        for part, files in (("adapters", style.adapters), ("soft_prompt", style.soft_prompts)):
            if files and part not in self.takes:
                others = ", ".join(each.name for each in FAMILIES.values() if part in each.takes)
                raise EngineError(
                    "bad_preset",
                    f"the preset brings {part}, {self.name} takes none; {others} take it",
                )

    @property
    def stages(self) -> tuple[Stage, ...]:
        return importlib.import_module(f"{self.module}.stages").STAGES

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Knob values where neither the client nor the preset says anything."""
        return self._family_module().defaults()

    def missing(self, models: Path | None = None) -> str:
        """Why the family cannot serve, in words; empty when it can.

        `models`: the folder of fetched weights.
        """
        return self._family_module().missing(models)

    def load(self, threads: int, models: Path | None = None) -> LoadedFamily[Any]:
        """The family, its files found. EngineError not_ready, missing_weights."""
        exported = self.exporting().load(threads, models) if self._is_exported(models) else None
        for line in self.unfit_exports(models):
            log.warning(line)
        return exported or self._family_module().load(threads, models)

    def unfit_exports(self, models: Path | None) -> list[str]:
        """The exports that are not used: which, why, and the command that makes another one."""
        if models is None or not self._is_exported(models):
            return []
        found = find_unfit(models, self.name, self.exporting().weight_files(models))
        return [
            f"{folder} is passed over: {reason}; remove it, and `retimbre export {self.name}` "
            "makes another one"
            for folder, reason in found
        ]

    def _is_exported(self, models: Path | None) -> bool:
        return bool(self.exports and models and any((models / EXPORTS).glob(f"{self.name}-*")))

    def exporting(self) -> Any:
        """The module that hands the family to `export`. EngineError not_ready: there is none."""
        if not self.exports:
            raise EngineError(
                "not_ready", f"{self.name} runs on torch alone; it has no graphs to export yet"
            )
        return importlib.import_module(f"{self.module}.exporting")

    def _family_module(self) -> Any:
        return importlib.import_module(f"{self.module}.family")


AUDIOLDM2_LICENCE = "CC-BY-NC-SA-4.0 (AudioLDM2), CC-BY-NC-4.0 (AudioMAE): non-commercial use only"
MUSICGEN_LICENCE = "CC-BY-NC-4.0 (MusicGen): non-commercial use only"
STABLE_AUDIO_LICENCE = (
    "Stability AI Community License (Stable Audio 3): commercial use only below US $1,000,000 of "
    "yearly revenue, and registered; Gemma Terms of Use (its text encoder)"
)
FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "nano",
            "nano: the embedded model",
            "Apache-2.0",
            ("timbre", "accompaniment", "genre"),
            600.0,
            "engine.families.nano",
            takes=("adapters", "soft_prompt"),
            exports=True,
        ),
        Family(
            "audioldm2",
            "AP-Adapter on AudioLDM2",
            AUDIOLDM2_LICENCE,
            ("timbre", "genre", "accompaniment"),
            120.0,
            "engine.families.audioldm2",
            takes=("adapters", "soft_prompt"),
            exports=True,
        ),
        Family(
            "musicgen",
            "MusicGen",
            MUSICGEN_LICENCE,
            ("generate", "continue", "accompaniment"),
            300.0,
            "engine.families.musicgen",
            takes=("adapters", "soft_prompt"),
            exports=True,
        ),
        Family(
            "ace_step",
            "ACE-Step 1.5",
            "MIT",
            ("cover", "lego", "complete", "repaint", "extract"),
            600.0,
            "engine.families.ace_step",
            takes=("adapters",),
        ),
        Family(
            "stable_audio_3",
            "Stable Audio 3",
            STABLE_AUDIO_LICENCE,
            ("timbre", "genre", "repaint", "continue"),
            380.0,
            "engine.families.stable_audio_3",
            takes=("adapters",),
        ),
    )
}


def family_named(name: str) -> Family:
    """EngineError unknown_model, naming those that exist."""
    if name not in FAMILIES:
        raise EngineError("unknown_model", f"expected one of {', '.join(FAMILIES)}, got {name!r}")
    return FAMILIES[name]


def check_style(model: str, style: ResolvedStyle) -> None:
    """EngineError bad_preset for a style that the family of this name cannot play.

    A name that is in no row passes: another worker may have families of its own.
    """
    if model in FAMILIES:
        FAMILIES[model].check_style(style)


def show_licence(family: Family) -> None:
    """A line in the log where a licence forbids what people commonly do."""
    if family.is_restricted:
        log.warning("%s: licence %s", family.name, family.licence)


class ModelCache:
    """Loaded families by name. One worker has one; `get` may be called from any thread.

    `on_load` is called in the thread that loads, each time that a family is ready to serve.
    """

    def __init__(
        self,
        threads: int,
        models: Path | None = None,
        on_load: Callable[[Family], None] = show_licence,
    ) -> None:
        self.threads, self.models, self._on_load = threads, models, on_load
        self._warm: set[str] = set()
        self._loaded: dict[str, LoadedFamily[Any]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> tuple[LoadedFamily[Any], float]:
        """The family and the seconds that loading took now (0.0: it was there). EngineError."""
        family = family_named(name)
        with self._lock:
            if name in self._loaded:
                return self._loaded[name], 0.0
            began = time.perf_counter()
            self._loaded[name] = family.load(self.threads, self.models)
            return self._loaded[name], time.perf_counter() - began

    def warm(self, name: str, cancelled: IsCancelled, progress: Progress) -> LoadedFamily[Any]:
        """The family, ready to serve at once.

        One thread at a time. EngineError, among them Cancelled.
        """
        loaded, _ = self.get(name)
        loaded.warm_up(cancelled, progress)
        if name not in self._warm:
            self._warm.add(name)
            self._on_load(family_named(name))
        return loaded

    def is_loaded(self, name: str) -> bool:
        return name in self._loaded

    def drop(self, name: str) -> None:
        """Free a family's memory, if it is loaded. EngineError unknown_model."""
        family_named(name)
        with self._lock:
            self._warm.discard(name)
            if loaded := self._loaded.pop(name, None):
                loaded.close()
