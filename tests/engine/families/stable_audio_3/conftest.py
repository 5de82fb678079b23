"""Tiny Stable Audio 3 of the real classes. Without the torch extra these tests are skipped."""

from __future__ import annotations

import pytest

for module in ("torch", "transformers", "diffusers", "peft"):
    pytest.importorskip(module)


@pytest.fixture(scope="session")
def distilled_folder(tmp_path_factory):
    """A models folder with a distilled checkpoint under Stability's name."""
    from tests.engine.families.stable_audio_3.tiny import write_repository

    folder = tmp_path_factory.mktemp("stable_models")
    write_repository(folder / "stable-audio-3-small-music", distilled=True)
    return folder


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    """A models folder with a base checkpoint."""
    from tests.engine.families.stable_audio_3.tiny import write_repository

    folder = tmp_path_factory.mktemp("stable_base_models")
    write_repository(folder / "stable-audio-3-medium-base")
    return folder
