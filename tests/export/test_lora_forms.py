"""What torch plays, the exported graph plays: every form of a LoRA file, on the same tiny UNet."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from engine.adapters.files import save_tensors, write_adapter_file
from engine.adapters.graphs import GraphAdapterManager
from engine.adapters.lora import Factors, LoraFile, peft_tensors, to_adapter_file
from engine.adapters.modules import ModuleAdapterManager
from engine.errors import EngineError
from export.parity import STAGE_BOUND, relative_error
from presets.style import StyleTensor
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


def a_lora(shapes, is_stabilised=False, alike=False):
    """Ranks and alphas differ from layer to layer."""
    draw, layers = np.random.default_rng(3), {}
    for index, (path, (fan_out, fan_in, *kernel)) in enumerate(shapes.items()):
        rank, alpha = (3, 4.5) if alike else (2 + index % 3, 3.0 + index)
        down = draw.standard_normal((rank, fan_in, *kernel)).astype(np.float32)
        up = draw.standard_normal((fan_out, rank, *[1] * len(kernel))).astype(np.float32)
        layers[path] = Factors(down, up, alpha)
    return LoraFile(layers, is_stabilised)


def of_ours(form):
    def write(folder, lora):
        place = convert.write(lora, folder / "x.safetensors", form, "unet")
        return convert._file_in(place)

    return write


def own(folder, lora):
    return write_adapter_file(folder / "x.safetensors", to_adapter_file(lora), "unet")


def bare(form):
    """Without our header, as the other programs write them."""

    def write(folder, lora):
        from safetensors import safe_open
        from safetensors.numpy import load_file

        path = of_ours(form)(folder, lora)
        with safe_open(str(path), "np") as file:
            metadata = {k: v for k, v in file.metadata().items() if k not in ("retimbre", "format")}
        save_file(load_file(path), str(path), metadata)
        return path

    return write


def kohya_resized(folder, lora):
    path = bare("kohya")(folder, lora)
    from safetensors.numpy import load_file

    save_file(load_file(path), str(path), {"ss_network_alpha": "Dynamic", "ss_network_dim": "None"})
    return path


def with_names(pattern, **metadata):
    """Names by a pattern of layer and side, nothing said of alpha but in the metadata."""

    def write(folder, lora):
        tensors = {}
        for path, factors in lora.layers.items():
            tensors[pattern.format(path, "down")] = factors.down
            tensors[pattern.format(path, "up")] = factors.up
        return save_tensors(folder / "x.safetensors", tensors, metadata)

    return write


def of_processors(folder, lora):
    """As diffusers wrote them once; attention alone has processors."""
    tensors = {}
    for path, factors in lora.layers.items():
        if ".attn" in path:
            block, _, layer = path.removesuffix(".0").rpartition(".")
            name = f"unet.{block}.processor.{layer}_lora"
            tensors[f"{name}.down.weight"] = factors.down
            tensors[f"{name}.up.weight"] = factors.up
    return save_tensors(folder / "x.safetensors", tensors, {})


def in_header(folder, lora):
    settings = json.dumps({f"unet.{k}": v for k, v in to_adapter_file(lora).settings.items()})
    tensors = {f"unet.{name}": values for name, values in peft_tensors(lora).items()}
    metadata = {"lora_adapter_metadata": settings}
    return save_tensors(folder / "x.safetensors", tensors, metadata)


def as_type(dtype):
    def write(folder, lora):
        tensors = {
            name: torch.from_numpy(values).to(dtype) for name, values in peft_tensors(lora).items()
        }
        path = folder / "x.safetensors"
        save_torch(tensors, str(path), {"lora_alpha": "6"})
        return path

    return write


def flat_convolutions(folder, lora):
    tensors = {k: v.reshape(v.shape[:2]) for k, v in peft_tensors(lora).items()}
    return save_tensors(folder / "x.safetensors", tensors, {"lora_alpha": "2"})


def lycoris(kind):
    def write(folder, lora):
        draw, tensors = np.random.default_rng(1), {}
        normal = lambda *shape: draw.standard_normal(shape).astype(np.float32)  # noqa: E731
        for path, factors in lora.layers.items():
            fan_out, fan_in = factors.up.shape[0], factors.down.shape[1]
            name = f"lora_unet_{path.replace('.', '_')}"
            sides = {"a": (fan_out, 2), "b": (2, fan_in)}
            if kind == "LoHa":
                for number in (1, 2):
                    for side, shape in sides.items():
                        tensors[f"{name}.hada_w{number}_{side}"] = normal(*shape)
            else:
                tensors[f"{name}.lokr_w1"] = normal(2, 2)
                tensors[f"{name}.lokr_w2_a"] = normal(fan_out // 2, 1)
                tensors[f"{name}.lokr_w2_b"] = normal(1, fan_in // 2)
            tensors[f"{name}.alpha"] = np.array(1.0, np.float32)
        return save_tensors(folder / "x.safetensors", tensors, {})

    return write


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


def test_the_papers_recipe_learns_is_exported_and_plays_on_the_graph(
    unet, ldm_models, region, tmp_path
):
    import soundfile

    soundfile.write(tmp_path / "clip.wav", np.tile(region, 3), 16_000)
    subject = families.load("audioldm2", ldm_models)
    learner = methods.made(subject, config.build("lora_paper", flags={"batch": 1}))
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
    merged = convert.merge([(convert.read(path), 0.4), (convert.read(path), 0.6)])
    files.append(write_adapter_file(tmp_path / "m.safetensors", to_adapter_file(merged), "unet"))
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
