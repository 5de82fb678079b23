"""Which weights of a family are on this machine, and which command fetches the missing ones?

Weights lie in the models folder or in the hub's cache. Nothing here downloads or needs torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from engine.errors import EngineError

DIFFUSERS_INDEX = "model_index.json"  # in the root of a repository in diffusers' layout
PACKAGES = ("torch", "transformers", "diffusers", "safetensors")
CURE = 'pip install "retimbre[torch]"'
MODELS_DIR = Path("MODELS_DIR")  # stands in commands where no folder is configured


@dataclass(frozen=True)
class Download:
    """A download, as messages describe it.

    `command` may contain {folder}, the models folder.
    """

    title: str
    size: str
    licence: str
    command: str

    def describe(self, folder: Path | None) -> str:
        """One line with the command for this models folder."""
        command = self.command.format(folder=folder or MODELS_DIR)
        return f"{self.title} ({self.size}, {self.licence}): {command}"


class FamilyWeights:
    """The weights of one family. `folder` None: only the hub's cache is searched."""

    family: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = PACKAGES
    owner: ClassVar[str]  # of the repositories on the hub
    own: ClassVar[tuple[str, ...]] = ()  # folders of the user's choice, which come first
    repositories: ClassVar[tuple[str, ...]]  # the best first
    download: ClassVar[Download]  # what gets a repository where there is none

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def base(self) -> Path:
        """The checkpoint that plays. EngineError missing_weights."""
        if found := self.find_base():
            return found
        raise missing_error(self.family, [self.download.describe(self.folder)])

    def find_base(self) -> Path | None:
        """The checkpoint that plays, if one is there."""
        own = find_repository(self.folder, self.owner, self.own) if self.folder else None
        return own or find_repository(self.folder, self.owner, self.repositories)

    def missing(self) -> list[str]:
        """A line for everything that has to be fetched before the family can serve."""
        return [] if self.find_base() else [self.download.describe(self.folder)]

    def check(self) -> None:
        """EngineError not_ready (packages) or missing_weights."""
        check_packages(self.family, self.packages)
        if lines := self.missing():
            raise missing_error(self.family, lines)

    def unavailable_reason(self) -> str:
        """Why the family cannot serve, in words; empty when it can."""
        try:
            self.check()
        except EngineError as error:
            return error.message
        return ""


def missing_error(family: str, lines: Iterable[str]) -> EngineError:
    """EngineError missing_weights that lists what to fetch."""
    message = f"{family} lacks weights, nothing is fetched by itself; {'; '.join(lines)}"
    return EngineError("missing_weights", message)


def check_packages(family: str, packages: Iterable[str] = PACKAGES) -> None:
    """EngineError not_ready where the torch extra is not installed."""
    if absent := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise EngineError("not_ready", f"{family} needs {', '.join(absent)}; run: {CURE}")


def find_repository(
    folder: Path | None, owner: str, names: Iterable[str], index: str = DIFFUSERS_INDEX
) -> Path | None:
    """The first repository with an `index` file: in the models folder, then in the hub's cache."""
    names = tuple(names)
    for path in [folder / name for name in names] if folder else ():
        if (path / index).is_file():
            return path
    return next(filter(None, (find_cached(f"{owner}/{name}", index) for name in names)), None)


def find_cached(repository: str, index: str = DIFFUSERS_INDEX) -> Path | None:
    """The snapshot of a repository in the hub's cache, found without the network."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repository, index)
    return Path(path).parent if isinstance(path, str) else None


def files_of(base: Path) -> dict[str, Path]:
    """The files of a diffusers repository that are read, by their names in it.

    Configurations and weights: safetensors where there are any, else pickles.
    """
    found = {}
    for folder in sorted(path for path in base.iterdir() if path.is_dir()):
        weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
        for path in (*sorted(folder.glob("*.json")), *weights):
            found[f"{folder.name}/{path.name}"] = path
    return found
