"""What torch plays, the exported graph plays: every form of a LoRA file, on the same tiny UNet."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from safetensors.numpy import save_file

from engine.adapters.files import write_adapter_file
from engine.adapters.graphs import GraphAdapterManager
from engine.adapters.lora import to_adapter_file
from engine.adapters.modules import ModuleAdapterManager
from engine.errors import EngineError
from export.parity import STAGE_BOUND, relative_error
from presets.style import StyleTensor
from tests.export.lora_files import (
    a_lora,
    as_type,
    bare,
    flat_convolutions,
    in_header,
    kohya_resized,
    lycoris,
    of_ours,
    of_processors,
    own,
    with_names,
)
from training.adapt import config, convert, families, methods

# one layer of every kind that training changes, and proj_in, which kohya's scripts change too
ENDS = (
    "attn1.to_q",
    "attn2.to_k",
    "attn2.to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
    "proj_in",
    "proj_out",
    "time_emb_proj",
    "time_embedding.linear_1",
)


@pytest.fixture(scope="module")
def unet(ldm_models):
    """The module, its torch runner, the exported runner, and one input of both."""
    from engine.families.audioldm2 import audiomae, components, exporting, graphs
    from engine.families.audioldm2.ap_adapter import read_adapter

    parts = components.load(ldm_models / "audioldm2")
    parts.unet.load_adapter(*read_adapter(ldm_models / "ap_adapter.safetensors"))
    heard = audiomae.read(ldm_models / "audiomae.safetensors")
    family = exporting.load(1, ldm_models)
    family.warm_up()
    family._load_adapter(ldm_models / "ap_adapter.safetensors")
    stage = next(stage for stage in exporting.STAGES if stage.name == "unet")
    feed = exporting._feed(stage, parts, heard, (2, 7, 12, 24, 8))
    module = parts.unet.unet.requires_grad_(False)
    on_torch = graphs.runners(graphs.modules(parts, heard), "cpu")["unet"]
    on_graph = family._runners["unet"]
    managers = (ModuleAdapterManager(module), GraphAdapterManager([on_graph], family._base_weight))
    return module, managers, lambda: (on_torch(**feed)[0], on_graph(**feed)[0])


@pytest.fixture(scope="module")
def shapes(unet):
    """Weight shapes of the first layer of every kind."""
    found = {}
    for end in ENDS:
        path = next(name for name, _ in unet[0].named_modules() if f".{name}".endswith(f".{end}"))
        found[path] = tuple(unet[0].get_submodule(path).weight.shape)
    return found


FORMS = {
    "ours": (own, {}),
    "ours, rank-stabilised": (own, {"is_stabilised": True}),
    **{f"our export to {form}": (of_ours(form), {}) for form in convert.FORMS},
    **{
        f"our export to {form}, rank-stabilised": (of_ours(form), {"is_stabilised": True})
        for form in convert.FORMS
    },
    "peft": (bare("peft"), {}),
    "peft, rank-stabilised": (bare("peft"), {"is_stabilised": True}),
    "diffusers": (in_header, {}),
    "diffusers, no settings": (with_names("unet.{}.lora.{}.weight"), {}),
    "diffusers, of processors": (of_processors, {}),
    "kohya": (bare("kohya"), {}),
    "kohya, alpha in the metadata": (
        with_names("unet.{}.lora_{}.weight", ss_network_alpha="1.5"),
        {"alike": True},
    ),
    "kohya, resized": (kohya_resized, {}),
    "ComfyUI": (bare("comfyui"), {}),
    "no prefix, no alpha": (with_names("{}.lora_{}.weight"), {}),
    "float16": (as_type(torch.float16), {}),
    "bfloat16": (as_type(torch.bfloat16), {}),
    "convolutions as matrices": (flat_convolutions, {}),
    "LoHa": (lycoris("LoHa"), {}),
    "LoKr": (lycoris("LoKr"), {}),
    "DoRA, ours": (own, {"is_dora": True}),
    "DoRA, ours, rank-stabilised": (own, {"is_dora": True, "is_stabilised": True}),
    **{f"DoRA, our export to {form}": (of_ours(form), {"is_dora": True}) for form in convert.FORMS},
    "DoRA, peft": (bare("peft"), {"is_dora": True}),
    "DoRA, diffusers": (in_header, {"is_dora": True}),
    "DoRA, kohya": (bare("kohya"), {"is_dora": True}),
    "DoRA, ComfyUI": (bare("comfyui"), {"is_dora": True}),
    "DoRA, float16": (as_type(torch.float16), {"is_dora": True}),
}


def play(unet, path, weight=0.7):
    """Both backends with a file, and the base: arrays."""
    _, managers, both = unet
    base = both()[0]
    for manager in managers:
        active = manager.set_adapters([StyleTensor(str(path), weight, str(path))])
        assert active.files() == {f"adapter {path.name}": path}
    on_torch, on_graph = both()
    for manager in managers:
        manager.set_adapters([])
    again = both()
    assert np.array_equal(again[0], base), "an adapter left a trace on torch"
    return on_torch, on_graph, base


@pytest.mark.parametrize("form", FORMS)
def test_both_backends_play_a_file_alike(unet, shapes, tmp_path, form, record_property):
    write, more = FORMS[form]
    on_torch, on_graph, base = play(unet, write(tmp_path, a_lora(shapes, **more)))
    error = relative_error(on_graph, on_torch)
    record_property("error", error)
    assert error <= STAGE_BOUND["float32"]
    assert relative_error(on_torch, base) > 0.01


def test_our_exports_and_the_file_itself_are_one_sound(unet, shapes, tmp_path):
    lora = a_lora(shapes, is_stabilised=True)
    sounds = []
    for index, write in enumerate((own, *map(of_ours, convert.FORMS), bare("kohya"), in_header)):
        folder = tmp_path / str(index)
        folder.mkdir()
        sounds.append(play(unet, write(folder, lora))[0])
    assert all(relative_error(sound, sounds[0]) < 1e-5 for sound in sounds)


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_the_papers_recipe_learns_is_exported_and_plays_on_the_graph(
    unet, ldm_models, region, tmp_path, dora
):
    import soundfile

    soundfile.write(tmp_path / "clip.wav", np.tile(region, 3), 16_000)
    subject = families.load("audioldm2", ldm_models)
    learner = methods.make_adapter(
        subject, config.build("lora_paper", flags={"batch": 1, "dora": dora})
    )
    sound = subject.features(tmp_path / "clip.wav")
    text = subject.text_features("a tune")
    optimiser = torch.optim.AdamW(learner.parameters.values(), 0.05)
    torch.manual_seed(0)
    for _ in range(2):
        loss = subject.loss([sound], [text], torch.zeros(1, dtype=torch.bool), None)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert any(value.ndim == 4 for value in learner.parameters.values())
    path = learner.write(tmp_path / "paper.safetensors", "unet", {"base": "tiny"})
    files = [path]
    for form in convert.FORMS:
        place = convert.write(convert.read(path), tmp_path / f"{form}.safetensors", form)
        files.append(convert._file_in(place))
    if not dora:  # which cannot be merged
        merged = convert.merge([(convert.read(path), 0.4), (convert.read(path), 0.6)])
        own_file = to_adapter_file(merged)
        files.append(write_adapter_file(tmp_path / "m.safetensors", own_file, "unet"))
    for file in files:
        on_torch, on_graph, base = play(unet, file, 1.0)
        assert relative_error(on_graph, on_torch) <= STAGE_BOUND["float32"], file
        assert relative_error(on_torch, base) > 1e-3, file


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (lambda shape: np.full(shape, np.nan, np.float32), "not finite"),
        (lambda shape: np.full(shape, np.inf, np.float16), "not finite"),
        (lambda shape: np.zeros((shape[0] + 1, *shape[1:]), np.float32), "another size"),
        (lambda shape: np.zeros(shape, bool), "is BOOL; expected F64, F32, F16, BF16"),
    ],
    ids=["nan", "infinity", "another size", "another type"],
)
def test_both_backends_refuse_alike(unet, shapes, tmp_path, values, told):
    path, shape = next(iter(shapes.items()))
    tensors = {f"{path}.lora_A.weight": np.zeros((2, shape[1]), np.float32)}
    tensors[f"{path}.lora_B.weight"] = values((shape[0], 2))
    save_file(tensors, str(tmp_path / "x.safetensors"))
    for manager in unet[1]:
        with pytest.raises(EngineError, match=told) as caught:
            manager.set_adapters([StyleTensor(str(tmp_path / "x.safetensors"))])
        assert caught.value.code == "bad_preset"


def test_what_fits_nowhere_is_refused_with_what_was_expected(unet, tmp_path):
    tensors = {f"unet.other.lora_{side}.weight": np.zeros((2, 2), np.float32) for side in "AB"}
    save_file(tensors, str(tmp_path / "x.safetensors"))
    for manager in unet[1]:
        with pytest.raises(EngineError, match=r"is called other; expected some of \d+ layers"):
            manager.set_adapters([StyleTensor(str(tmp_path / "x.safetensors"))])


@pytest.fixture
def dora(shapes, tmp_path):
    return own(tmp_path, a_lora(shapes, is_dora=True))


@pytest.mark.parametrize("weight", [0.3, 1.0, 1.7, -0.5])
def test_a_dora_plays_alike_at_every_weight(unet, dora, weight, record_property):
    on_torch, on_graph, _ = play(unet, dora, weight)
    error = relative_error(on_graph, on_torch)
    record_property("error", error)
    assert error <= STAGE_BOUND["float32"]


def test_a_dora_goes_on_and_off_between_other_styles(unet, shapes, dora, tmp_path):
    _, (_, on_graph), both = unet
    (tmp_path / "lora").mkdir()
    lora = own(tmp_path / "lora", a_lora(shapes))

    def sound(*files):
        active = on_graph.set_adapters([StyleTensor(str(file), 0.7, str(file)) for file in files])
        assert not any("DoRA" in note for note in active.notes), "nothing was approximated"
        return both()[1]

    sounds = [sound(), sound(dora), sound(lora), sound(dora), sound(), sound(lora), sound()]
    base, first, other, second, *rest = sounds
    assert np.array_equal(first, second)
    for found, expected in zip(rest, (base, other, base), strict=True):
        assert np.array_equal(found, expected)
    assert relative_error(first, base) > 0.01 and relative_error(first, other) > 0.01


def test_a_dora_goes_alone_on_both_backends(unet, shapes, dora, tmp_path):
    _, managers, both = unet
    (tmp_path / "lora").mkdir()
    lora = own(tmp_path / "lora", a_lora(shapes))

    def style(file, weight):
        return StyleTensor(str(file), weight, str(file))

    for manager in managers:
        with pytest.raises(EngineError, match="DoRA cannot be blended") as caught:
            manager.set_adapters([style(lora, 0.5), style(dora, 0.5)])
        assert caught.value.code == "bad_preset"
    alone = play(unet, dora, 0.75)
    for blend in ([style(dora, 0.5), style(dora, 0.25)], [style(lora, 0.0), style(dora, 0.75)]):
        for manager in managers:
            manager.set_adapters(blend)
        for found, expected in zip(both(), alone[:2], strict=True):
            assert relative_error(found, expected) < 1e-6
    for manager in managers:
        manager.set_adapters([])
