"""All styles of a list of folders, reloaded as one.

Threads: every method may be called from any thread. Readers see one immutable snapshot, swapped
by a single assignment; `reload` runs one at a time and never blocks readers.
Later folders win: a user's church_organ.yaml takes the place of the shipped one.
"""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from presets.blending import blend
from presets.errors import PresetError, Problem
from presets.files import file_sha256
from presets.loader import load_preset
from presets.schema import Preset

SHIPPED_FOLDER = Path(__file__).parent / "styles"
EXAMPLE = "as 'a 0.7 b 0.3'"
SUFFIXES = (".yaml", ".yml")

Stamp = tuple[int, int]  # (mtime in nanoseconds, bytes); (0, 0): not there


@dataclass(frozen=True)
class ReloadReport:
    """`loaded`: names now available. `errors`: what is wrong in which file.

    `kept`: names whose file is broken and whose last good version stays in use.
    """

    loaded: tuple[str, ...]
    errors: tuple[Problem, ...]
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Snapshot:
    by_name: Mapping[str, Preset] = field(default_factory=dict)
    by_path: Mapping[Path, Preset] = field(default_factory=dict)
    stamps: Mapping[Path, Stamp] = field(default_factory=dict)
    report: ReloadReport = ReloadReport((), ())


class Library:
    """Presets by name. Loading happens here and in `reload`; a missing folder is an empty one."""

    def __init__(self, folders: Sequence[Path | str] = (SHIPPED_FOLDER,)) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self._reloading = threading.Lock()
        self._hashes: dict[tuple[Path, Stamp], str] = {}  # touched under _reloading only
        self._now = _Snapshot()
        self.reload()

    @property
    def report(self) -> ReloadReport:
        """What the last reload found."""
        return self._now.report

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self._now.by_name)

    def presets(self) -> tuple[Preset, ...]:
        """All presets, sorted by name."""
        return tuple(self._now.by_name.values())

    def get(self, name: str) -> Preset:
        """Raises PresetError(unknown_preset) that names the nearest ones."""
        by_name = self._now.by_name
        if name in by_name:
            return by_name[name]
        raise PresetError("unknown_preset", _unknown(name, list(by_name)))

    def find(self, style: str) -> Preset:
        """A preset by its name, or a blend as in `harp 0.7 pan_flute 0.3`. Raises PresetError."""
        words = style.split()
        if len(words) == 1:
            return self.get(words[0])
        if len(words) % 2:
            raise PresetError(
                "bad_preset", f"blend: expected names and weights in turn, {EXAMPLE}, got {style!r}"
            )
        weights = [_weight(word) for word in words[1::2]]
        presets = [self.get(name) for name in words[::2]]
        return blend(list(zip(presets, weights, strict=True)))

    def __len__(self) -> int:
        return len(self._now.by_name)

    def has_changed(self) -> bool:
        """Whether any file differs from what was last loaded; looks at dates and sizes only."""
        return self._stamps() != self._now.stamps

    def reload(self) -> ReloadReport:
        """Loads and checks everything, then swaps; a broken file keeps its last good version."""
        with self._reloading:
            self._now = self._load(self._now)
            return self._now.report

    def _load(self, before: _Snapshot) -> _Snapshot:
        stamps = self._stamps()  # before reading: a write in between shows as a change
        by_path: dict[Path, Preset] = {}
        errors: list[Problem] = []
        kept: list[str] = []
        for path in self._files():
            try:
                by_path[path] = load_preset(path, self._sha256)
            except PresetError as error:
                errors += error.problems
            except OSError as error:
                errors.append(
                    Problem(
                        path.name,
                        0,
                        "",
                        f"cannot be read ({error.strerror}): check its permissions",
                    )
                )
            if path not in by_path and path in before.by_path:
                by_path[path] = before.by_path[path]
                kept.append(by_path[path].name)
        errors += _twins(by_path)
        found = {preset.name: preset for preset in by_path.values()}
        by_name = {name: found[name] for name in sorted(found)}
        return _Snapshot(
            by_name, by_path, stamps, ReloadReport(tuple(by_name), tuple(errors), tuple(kept))
        )

    def _stamps(self) -> dict[Path, Stamp]:
        """All that a reload would read, also tensors: a style may wait for one to appear."""
        tensors = [path for folder in self.folders for path in folder.rglob("*.safetensors")]
        return {path: _stamp(path) for path in (*self._files(), *tensors)}

    def _files(self) -> list[Path]:
        return [path for folder in self.folders for path in _yaml_files(folder)]

    def _sha256(self, path: Path) -> str:
        """Each version of a tensor file is hashed once."""
        key = (path, _stamp(path))
        if key not in self._hashes:
            self._hashes[key] = file_sha256(path)
        return self._hashes[key]


def _twins(by_path: Mapping[Path, Preset]) -> list[Problem]:
    """A problem for each a.yaml that has an a.yml beside it, which is used instead."""
    return [
        Problem(
            path.name,
            0,
            "",
            f"{path.with_suffix('.yml').name} beside it is used instead: remove one of the two",
        )
        for path in by_path
        if path.suffix == ".yaml" and path.with_suffix(".yml") in by_path
    ]


def _weight(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        message = f"blend: expected a weight after each name, {EXAMPLE}, got {word!r}"
        raise PresetError("bad_preset", message) from None


def _yaml_files(folder: Path) -> list[Path]:
    """Sorted, with NAME/NAME.yaml; without hidden files, as editors' swap files are."""
    try:
        entries = [entry for entry in sorted(os.listdir(folder)) if not entry.startswith(".")]
    except OSError:
        return []
    own = [folder / entry / f"{entry}.yaml" for entry in entries]
    return [folder / entry for entry in entries if entry.lower().endswith(SUFFIXES)] + [
        path for path in own if path.is_file()
    ]


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return (
            f"no preset is called {name!r}, and no preset is loaded: "
            "see the errors of the last reload"
        )
    near = difflib.get_close_matches(name.lower().replace(" ", "_"), known, n=3, cutoff=0.5)
    cure = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    return f"no preset is called {name!r}: {cure}"
