"""Tiny AudioLDM2 of the real classes. Without the torch extra these tests are skipped."""

from __future__ import annotations

import pytest

collect_ignore_glob = []
for module in ("torch", "transformers", "diffusers"):
    pytest.importorskip(module)


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory):
    """A models folder as a user would have it, tiny."""
    from tests.engine.families.audioldm2.tiny import write_models

    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def adapted():
    """A tiny UNet with a random adapter."""
    import torch

    from engine.families.audioldm2.ap_adapter import AdaptedUNet
    from tests.engine.families.audioldm2.tiny import random_adapter, tiny_unet

    torch.manual_seed(0)
    unet = AdaptedUNet(tiny_unet()).eval().requires_grad_(False)
    unet.load_adapter(random_adapter(unet))
    return unet
