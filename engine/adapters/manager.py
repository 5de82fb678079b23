"""Which adapters does a loaded model play? One interface, whatever holds the model.

engine.adapters.modules   a torch module     any kind of adapter, added to the module's layers
engine.adapters.graphs    exported graphs    LoRA and DoRA, packed into the graphs' inputs
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.adapters.files import AdapterFileError
from presets.style import StyleTensor


@dataclass(frozen=True)
class ActiveAdapters:
    """What plays from now on, and what a job's manifest says of it."""

    adapters: tuple[StyleTensor, ...] = ()
    notes: tuple[str, ...] = ()

    def files(self) -> dict[str, Path]:
        """The files by the names that they have in a job's manifest."""
        paths = [Path(adapter.path) for adapter in self.adapters]
        return {f"adapter {path.name}": path for path in paths}


class AdapterManager(Protocol):
    """The adapters of one loaded model. One thread at a time."""

    active: ActiveAdapters

    def set_adapters(self, adapters: Sequence[StyleTensor]) -> ActiveAdapters:
        """Play exactly these from now on.

        Raises EngineError bad_preset for a file that does not fit; what played before stays.
        """


def key_of(adapter: StyleTensor) -> str:
    """Changes with the file's place and contents."""
    return f"{adapter.path} {adapter.sha256}"


def blend_error(kind: str) -> AdapterFileError:
    """Of an adapter that was chosen together with others, though it plays alone."""
    message = f"{kind} cannot be blended: its change is no sum; choose it alone"
    return AdapterFileError("bad_file", message)


def notes_on(adapters: Sequence[StyleTensor], remarks: Sequence[str]) -> tuple[str, ...]:
    """A line for each adapter, then what reading them had to assume."""
    lines = [f"adapter: {Path(each.path).name}, weight {each.weight:g}" for each in adapters]
    return (*lines, *dict.fromkeys(remarks))
