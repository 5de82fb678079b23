"""Where the checkpoints lie, and how one gets those that are missing.

Nothing here downloads, and nothing needs torch.

models/musicgen/            any checkpoint in transformers' layout, a fine-tuned one too: it plays before all others
models/musicgen-large/      repositories of `facebook` as they are published, or the hub's cache
models/musicgen-melody/     the other kind, which hears a melody
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError

PACKAGES = ("torch", "transformers", "peft", "safetensors")
CURE = 'pip install "retimbre[torch]"'
OWN = "musicgen"  # the folder of the user's choice
# `model_type` in config.json: transformers' two classes
TEXT, MELODY = "musicgen", "musicgen_melody"
LICENCE = "CC-BY-NC-4.0, non-commercial"


@dataclass(frozen=True)
class Checkpoint:
    """A repository of `facebook`; bytes of its safetensors, in float32."""

    name: str
    kind: str
    gigabytes: float

    def command(self, folder: Path) -> str:
        """The pickles that lie in the repositories beside the safetensors are left out."""
        return (
            f'hf download facebook/{self.name} --exclude "*.bin" --local-dir "{folder / self.name}"'
        )


CHECKPOINTS = (  # of each kind the best first; stereo where the user fetched nothing else
    Checkpoint("musicgen-large", TEXT, 13.7),
    Checkpoint("musicgen-medium", TEXT, 8.0),
    Checkpoint("musicgen-small", TEXT, 2.4),
    Checkpoint("musicgen-stereo-large", TEXT, 13.8),
    Checkpoint("musicgen-stereo-medium", TEXT, 8.1),
    Checkpoint("musicgen-stereo-small", TEXT, 2.4),
    Checkpoint("musicgen-melody-large", MELODY, 10.5),
    Checkpoint("musicgen-melody", MELODY, 6.2),
    Checkpoint("musicgen-stereo-melody-large", MELODY, 10.6),
    Checkpoint("musicgen-stereo-melody", MELODY, 6.3),
)
TO_FETCH = {TEXT: "musicgen-small", MELODY: "musicgen-melody"}  # the smallest that does it


@dataclass(frozen=True)
class Places:
    """The checkpoints in one models folder. `folder` None: only the hub's cache is looked at."""

    folder: Path | None

    def found(self, kind: str) -> Path | None:
        """The best checkpoint of a kind that is there."""
        names = [OWN, *(row.name for row in CHECKPOINTS if row.kind == kind)]
        return next(
            (path for path in map(self.named, names) if path and kind_of(path) == kind), None
        )

    def named(self, name: str) -> Path | None:
        """The folder of one checkpoint; of a path or a name of the hub the last part counts."""
        name = name.replace("\\", "/").rpartition("/")[2]
        path = self.folder / name if self.folder and name else None
        if path and (path / "config.json").is_file():
            return path
        return _in_hub_cache(name) if any(row.name == name for row in CHECKPOINTS) else None

    def needed(self, kinds: Sequence[str]) -> Path:
        """The best checkpoint of the first kind that is there.

        EngineError missing_weights, with the command.
        """
        path = next(filter(None, map(self.found, kinds)), None)
        if path is None:
            raise EngineError(
                "missing_weights",
                f"musicgen lacks weights, nothing is fetched by itself; "
                f"{_how_to_fetch(kinds[0], self.folder)}",
            )
        return path

    def trouble(self) -> str:
        """Why the family cannot serve, in words; empty when it can."""
        try:
            self.check()
        except EngineError as error:
            return error.message
        return ""

    def check(self) -> None:
        """EngineError not_ready (packages) or missing_weights (neither kind is there)."""
        if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
            raise EngineError("not_ready", f"musicgen needs {', '.join(absent)}; run: {CURE}")
        self.needed((TEXT, MELODY))


def kind_of(folder: Path) -> str:
    """`model_type` of a checkpoint's config.json; empty where it cannot be read."""
    try:
        return str(
            json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
        )
    except (OSError, ValueError, AttributeError):
        return ""


def files_of(folder: Path) -> dict[str, Path]:
    """What of a checkpoint decides how it sounds: configurations, words, weights."""
    patterns = ("*.json", "*.model", "*.safetensors")
    return {path.name: path for pattern in patterns for path in sorted(folder.glob(pattern))}


def _how_to_fetch(kind: str, folder: Path | None) -> str:
    rows = [row for row in CHECKPOINTS if row.kind == kind]
    smallest = next(row for row in rows if row.name == TO_FETCH[kind])
    others = ", ".join(_names(row for row in rows if row is not smallest))
    return (
        f"{smallest.name} ({smallest.gigabytes} GB, {LICENCE}): {smallest.command(folder or Path('MODELS_DIR'))}; "
        f"or in the same way {others}"
    )


def _names(rows: Iterable[Checkpoint]) -> Iterator[str]:
    return (f"{row.name.removeprefix('musicgen-')} ({row.gigabytes} GB)" for row in rows)


def _in_hub_cache(name: str) -> Path | None:
    """The snapshot of facebook/name in the hub's cache, without a look at the network."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(f"facebook/{name}", "config.json")
    return Path(path).parent if isinstance(path, str) else None
