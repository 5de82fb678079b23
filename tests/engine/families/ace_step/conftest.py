"""Tiny ACE-Step of the real classes. Without the torch extra these tests are skipped."""

from __future__ import annotations

import pytest

for module in ("torch", "transformers", "diffusers", "peft"):
    pytest.importorskip(module)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    """A models folder with a base checkpoint under its published name."""
    from tests.engine.families.ace_step.tiny import write_repository

    folder = tmp_path_factory.mktemp("ace_models")
    write_repository(folder / "acestep-v15-xl-base-diffusers")
    return folder


@pytest.fixture(scope="session")
def turbo_folder(tmp_path_factory):
    """A models folder with a turbo checkpoint."""
    from tests.engine.families.ace_step.tiny import write_repository

    folder = tmp_path_factory.mktemp("turbo_models")
    write_repository(folder / "acestep-v15-xl-turbo-diffusers", "turbo")
    return folder
