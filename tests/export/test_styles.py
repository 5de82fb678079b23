"""A style goes on and off between two jobs, and between two steps of one, on real graphs of the
families.
"""

import numpy as np
import pytest

pytest.importorskip("torch")

from engine.adapters.packed import Factors, Lora, pack
from engine.families.nano import exporting
from presets.style import ResolvedStyle, StyleTensor

KNOBS = {"seed": 3, "guidance": 2.0, "steps": 2}


def a_style(layers, seed, size=0.2):
    draw = np.random.default_rng(seed)
    normal = lambda *shape: draw.standard_normal(shape).astype(np.float32) * size  # noqa: E731
    return Lora(
        "s",
        {each.path: Factors(normal(each.fan_in, 2), normal(2, each.fan_out)) for each in layers},
    )


@pytest.fixture
def family(nano_models, nano_weights):
    return exporting.load(1, nano_models, nano_weights)


@pytest.fixture
def styles(family):
    layers = family._runners["denoiser"].row.lora
    return [pack(layers, [(a_style(layers, seed), 1.0)]) for seed in (1, 2)]


def test_each_job_wears_its_own_style_and_the_next_none_of_it(family, styles, region):
    denoiser, stems = family._runners["denoiser"], []
    for style in (None, styles[0], styles[1], None, styles[0]):
        denoiser.take_style(style)
        stems.append(family.transfer(region, "violin", KNOBS))
    assert np.array_equal(stems[0], stems[3]) and np.array_equal(stems[1], stems[4])
    assert not np.allclose(stems[0], stems[1]) and not np.allclose(stems[1], stems[2])


def test_a_style_may_change_between_two_steps_of_one_job(family, styles, region):
    denoiser = family._runners["denoiser"]
    asked = []

    def stepwise(order):
        def run(**inputs):
            asked.append(1)
            denoiser.take_style(order[len(asked) - 1])
            return denoiser(**inputs)

        asked.clear()
        family._runners = {**family._runners, "denoiser": run}
        stem = family.transfer(region, "violin", KNOBS)
        family._runners = {**family._runners, "denoiser": denoiser}
        return stem

    both, first = stepwise([styles[0], styles[1]]), stepwise([styles[0], styles[0]])
    assert len(asked) == 2 and not np.allclose(both, first)
    assert np.array_equal(both, stepwise([styles[0], styles[1]]))


def test_the_unet_with_a_style_is_the_unet_with_it_merged(ldm_models):
    import torch

    from engine.families.audioldm2 import audiomae, components, graphs
    from engine.families.audioldm2 import exporting as ldm
    from engine.families.audioldm2.ap_adapter import read_adapter
    from engine.families.registry import ModelCache

    parts = components.load(ldm_models / "audioldm2")
    parts.unet.load_adapter(*read_adapter(ldm_models / "ap_adapter.safetensors"))
    heard = audiomae.read(ldm_models / "audiomae.safetensors")
    family = ModelCache(1, ldm_models).warm(
        "audioldm2", lambda: False, lambda stage, fraction: None
    )
    family._take(ldm_models / "ap_adapter.safetensors")
    unet = family._runners["unet"]
    blend = [(a_style(unet.row.lora, 1), 0.6), (a_style(unet.row.lora, 2), -0.3)]
    modules = dict(graphs.modules(parts, heard)["unet"].named_modules())
    with torch.no_grad():
        for style, weight in blend:
            for path, factors in style.layers.items():
                modules[path].weight += weight * torch.from_numpy(factors.down @ factors.up).T
    stage = next(stage for stage in ldm.STAGES if stage.name == "unet")
    feed = ldm._feed(stage, parts, heard, (2, 7, 12, 24, 8))
    (expected,) = graphs.runners(graphs.modules(parts, heard), "cpu")["unet"](**feed)
    (base,) = unet(**feed)
    unet.take_style(pack(unet.row.lora, blend))
    (found,) = unet(**feed)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.abs(found - base).max() > 0.05


def test_a_preset_puts_lora_files_on_and_takes_them_off(ldm_models, tmp_path):
    from safetensors.numpy import save_file

    from engine.families.registry import ModelCache
    from engine.knobs import Knobs

    family = ModelCache(1, ldm_models).warm(
        "audioldm2", lambda: False, lambda stage, fraction: None
    )
    layer = family._runners["unet"].row.lora[0]
    name = layer.path.removeprefix("unet.unet.")
    draw = np.random.default_rng(0)
    save_file(
        {
            f"unet.{name}.lora_A.weight": draw.standard_normal((4, layer.fan_in)).astype(
                np.float32
            ),
            f"unet.{name}.lora_B.weight": draw.standard_normal((layer.fan_out, 4)).astype(
                np.float32
            ),
        },
        str(tmp_path / "style.safetensors"),
    )
    knobs = Knobs(0.5, 2, 7.5, "", 2, 5, (("a violin", 1.0),))
    notes = family.prepare(
        ResolvedStyle(adapters=(StyleTensor(str(tmp_path / "style.safetensors"), 0.5),)), knobs
    )
    assert any("rank 4" in note for note in notes) and any("no alpha" in note for note in notes)
    assert family._runners["unet"]._style[layer.b][layer.b_index].any()
    family.prepare(ResolvedStyle(), knobs)
    assert all(values.shape.count(0) for values in family._runners["unet"]._style.values())
