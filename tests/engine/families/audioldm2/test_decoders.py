"""VAE and vocoder in bfloat16 say nearly what they say in float32, and leave the modules alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from engine.families.audioldm2 import components, decoders, graphs
from export.parity import STAGE_BOUND, relative_error


def test_they_are_within_the_bound_of_a_half_precision_and_give_float32(models_folder):
    base = models_folder / "audioldm2"
    parts = components.load(base)
    modules = {
        "vae_decoder": graphs.VaeDecoder(parts.vae),
        "vocoder": graphs.Vocoder(parts.vocoder),
    }
    draw = np.random.default_rng(0)
    feeds = {
        "vae_decoder": {"latent": draw.standard_normal((1, 8, 32, 16)).astype(np.float32)},
        "vocoder": {"mel": draw.standard_normal((1, 64, 64)).astype(np.float32)},
    }
    found = decoders.read(base, 1)
    for name, module in modules.items():
        with torch.inference_mode():
            expected = module(
                *(torch.from_numpy(values) for values in feeds[name].values())
            ).numpy()
        (answer,) = found[name](**feeds[name])
        assert answer.dtype == np.float32
        assert 0 < relative_error(answer, expected) < STAGE_BOUND["float16"]
        assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_a_processor_is_quick_where_it_has_the_instruction(monkeypatch):
    capabilities = {}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert not decoders.is_quick()
    capabilities["avx512_bf16"] = True
    assert decoders.is_quick()
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # an older torch cannot tell
    assert not decoders.is_quick()
