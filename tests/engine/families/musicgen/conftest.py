"""Tiny MusicGen of the real classes. Without the torch extra these tests are skipped."""

from __future__ import annotations

import pytest

for module in ("torch", "transformers", "peft"):
    pytest.importorskip(module)


@pytest.fixture(scope="session")
def musicgen_folder(tmp_path_factory):
    """A tiny models folder: a plain checkpoint and one that hears melodies."""
    from tests.engine.families.musicgen.tiny import write_models

    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def plain(musicgen_folder):
    """The plain checkpoint, loaded; nobody changes it."""
    from engine.families.musicgen.components import load

    return load(musicgen_folder / "musicgen-small")


@pytest.fixture(scope="session")
def melodic(musicgen_folder):
    """The checkpoint that hears melodies, loaded; nobody changes it."""
    from engine.families.musicgen.components import load

    return load(musicgen_folder / "musicgen-melody")
