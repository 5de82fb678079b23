"""Each method on each family it works on: what learns gets gradients, the base gets none, a file
brings it back.
"""

import argparse

import pytest
import torch

from engine.adapters.modules import ModuleAdapterManager
from engine.errors import EngineError
from presets.style import StyleTensor
from training.adapt import cli, config, families, methods, prepare, preset
from training.adapt.config import TrainError

SHORT = {"rank": 2, "length": 4, "size": 3, "batch": 1}
WORKING = [
    (family, method)
    for family, row in families.FAMILIES.items()
    for method in families.METHODS
    if method not in (*row.refused, "qlora", "dreambooth")
]


@pytest.fixture(scope="module")
def examples(data, models):
    """Family -> (sound features, caption, text features)."""
    found = {}
    for name in families.FAMILIES:
        model = families.load(name, models)
        found[name] = (
            model.features(data / "0.wav"),
            "zzq tune <style>",
            model.text_features("zzq tune <style>"),
        )
    return found


def settings(method, **more):
    return config.build(flags={**SHORT, "method": method, **more})


def loss_of(model, adapter, example):
    sound, caption, text = example
    torch.manual_seed(5)
    return model.loss(
        [sound],
        [caption if adapter.words else text],
        torch.zeros(1, dtype=torch.bool),
        adapter.words,
    )


def embedding_of(model):
    encoder = model._parts.t5 if hasattr(model._parts, "t5") else model.module.text_encoder
    return encoder.get_input_embeddings()


def learnt(model, method, path):
    """A file put on as the serving family does; learned words as a run does."""
    if method in prepare.WORDS:
        again = methods.make_adapter(model, settings(method))
        preset.load_style(argparse.Namespace(adapter=again, model=model), path)
        return again
    ModuleAdapterManager(model.module).set_adapters([StyleTensor(str(path))])
    return argparse.Namespace(words=None)


@pytest.mark.parametrize(("family", "method"), WORKING)
def test_a_method_learns_alone_and_its_file_brings_it_back(
    family, method, models, examples, tmp_path
):
    model, example = families.load(family, models), examples[family]
    adapter = methods.make_adapter(model, settings(method))
    loss_of(model, adapter, example).backward()
    ours = {id(value) for value in adapter.parameters.values()}
    assert any(
        value.grad is not None and value.grad.abs().sum() > 0
        for value in adapter.parameters.values()
    )
    assert all(value.grad is None for value in model.module.parameters() if id(value) not in ours)
    if family in ("audioldm2", "musicgen"):  # of the others only the transformer is at work
        assert embedding_of(model).weight.grad is None

    torch.manual_seed(1)
    with torch.no_grad():
        before = float(loss_of(model, adapter, example))
        for value in adapter.parameters.values():
            value.add_((0.03 if method == "full" else 3) * torch.randn(value.shape))
        moved = float(loss_of(model, adapter, example))
    assert moved != pytest.approx(before, rel=1e-5)
    path = adapter.write(tmp_path / "x.safetensors", model.prefix, {"base": model.base})

    other = families.load(family, models)
    again = learnt(other, method, path)
    with torch.no_grad():
        assert float(loss_of(other, again, example)) == pytest.approx(moved, rel=1e-6)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_checkpointing_costs_time_and_changes_nothing(family, models, examples):
    model = families.load(family, models)
    adapter = methods.make_adapter(model, settings("lora"))
    for name, value in adapter.parameters.items():
        if "lora_B" in name:
            torch.nn.init.normal_(value, generator=torch.Generator().manual_seed(1))
    found = []
    for checkpoint in (lambda: None, model.checkpoint_layers):
        checkpoint()
        loss_of(model, adapter, examples[family]).backward()
        found.append([value.grad.clone() for value in adapter.parameters.values()])
        for value in adapter.parameters.values():
            value.grad = None
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-7) for a, b in zip(*found, strict=True))


def test_musicgens_loss_is_the_familys_own_full_form(models, examples):
    from engine.families.musicgen.labels import loss

    model = families.load("musicgen", models)
    sound, caption, text = examples["musicgen"]
    ids = model._ids(caption)
    codes = torch.from_numpy(sound["codes"].astype("int64"))[None]
    for dropped in (False, True):
        mask = torch.tensor([dropped])
        ours = model.loss([sound], [text], mask, None)
        theirs = loss(model.module, codes, ids, torch.ones_like(ids), dropped=mask)
        assert torch.allclose(ours, theirs, rtol=1e-4)
    assert sound["codes"].shape[0] == 4


def test_targets_reach_attention_time_and_output_and_nothing_else(models):
    model = families.load("audioldm2", models)
    adapter = methods.make_adapter(
        model, settings("lora", targets=["attention", "time", "output"], dora=True)
    )
    ends = {name.split(".lora_")[0].rpartition(".")[2] for name in adapter.parameters}
    assert ends == {
        "to_q",
        "to_k",
        "to_v",
        "0",
        "linear_1",
        "linear_2",
        "time_emb_proj",
        "proj_out",
    }
    assert any("magnitude" in name for name in adapter.parameters)
    assert not any("processor" in name or ".t5" in name for name in adapter.parameters)


def test_learned_words_begin_as_words_or_as_noise(models):
    from engine.families.audioldm2 import learned

    model = families.load("audioldm2", models)
    embedding, ids = embedding_of(model), learned.token_ids(model._parts, "ab")
    begun = methods.make_adapter(
        model, settings("soft_prompt", begin="ab", length=2 * len(ids))
    ).words.vectors
    assert torch.equal(begun[: len(ids)], embedding(torch.tensor(ids)).detach()) and torch.equal(
        begun[: len(ids)], begun[len(ids) :]
    )
    assert methods.make_adapter(model, settings("soft_prompt")).words.vectors.std() > 0.5


def test_what_does_not_work_is_refused_with_the_reason(models, monkeypatch):
    for family, method, reason in (
        ("nano", "prefix", "finished graphs"),
        ("ace_step", "soft_prompt", "transformer alone"),
        ("what", "lora", "one of"),
        ("musicgen", "prefix", "use soft_prompt"),
        ("audioldm2", "magic", "expected one of"),
    ):
        with pytest.raises(TrainError, match=f"unsupported.*{reason}"):
            families.check(family, method)
    with pytest.raises(TrainError, match="dora does not work on nano"):
        families.check("nano", "lora", dora=True)
    with pytest.raises(TrainError, match="nano has no mlp"):
        families.check("nano", "lora", ("mlp",))
    with pytest.raises(TrainError, match="no time"):
        families.check("musicgen", "lora", ("time",))
    if not torch.cuda.is_available():
        with pytest.raises(TrainError, match="qlora needs a CUDA"):
            methods.make_adapter(families.load("audioldm2", models), settings("qlora"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(methods.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainError, match="missing_extra.*bitsandbytes"):
        methods.make_adapter(families.load("audioldm2", models), settings("qlora"))


def test_qlora_learns_beside_four_bits_and_plays_on_the_whole_model(
    models, examples, monkeypatch, tmp_path
):
    """bitsandbytes computes on a processor as well; the run itself asks for CUDA, where that is
    worth it.
    """
    bitsandbytes = pytest.importorskip("bitsandbytes")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for family in ("audioldm2", "musicgen"):
        model = families.load(family, models)
        plain = float(loss_of(model, argparse.Namespace(words=None), examples[family]))
        adapter = methods.make_adapter(model, settings("qlora", targets=["attention", "output"]))
        small = [
            path
            for path, each in model.module.named_modules()
            if isinstance(each, bitsandbytes.nn.Linear4bit)
        ]
        assert small and not any("lm_heads" in path or "time" in path for path in small)
        loss = loss_of(model, adapter, examples[family])
        loss.backward()
        assert loss.item() != plain and loss.item() == pytest.approx(plain, rel=0.2)
        assert all(
            value.grad is not None and value.dtype == torch.float32
            for value in adapter.parameters.values()
        )
        path = adapter.write(tmp_path / f"{family}.safetensors", model.prefix, {})
        whole = families.load(family, models)
        learnt(whole, "lora", path)
        again = loss_of(whole, argparse.Namespace(words=None), examples[family]).item()
        assert again == pytest.approx(plain, rel=1e-4)


def test_a_file_of_another_rank_is_refused(models, tmp_path):
    model = families.load("audioldm2", models)
    adapter = methods.make_adapter(model, settings("lora"))
    with pytest.raises(EngineError, match="none of the file's"):
        adapter.load({"x": torch.ones(1)})
    name = next(iter(adapter.parameters))
    with pytest.raises(EngineError, match="expected"):
        adapter.load(
            {**{k: v.detach() for k, v in adapter.parameters.items()}, name: torch.ones(7, 7)}
        )


# -- settings --


def test_flags_win_over_yaml_and_yaml_over_the_recipe(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "rank: 8\nlearning_rate: 1e-3\ntargets: [attention, mlp]\n", encoding="utf-8"
    )
    found = config.build("lora_paper", tmp_path / "x.yaml", {"rank": 4})
    assert (found.rank, found.learning_rate, found.targets, found.scale) == (
        4,
        1e-3,
        ("attention", "mlp"),
        16.0,
    )
    assert (found.dropout, found.condition_dropout, found.patience) == (0.25, 0.25, 200)
    assert config.build("soft_prompt_paper").length == 30


@pytest.mark.parametrize("recipe", config.RECIPES)
def test_every_recipe_is_whole(recipe):
    config.build(recipe, flags={"trigger": "zzq", "prior": "general"})


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"rank": 0}, "rank: expected 1 to 512"),
        ({"rank": "8"}, "expected int"),
        ({"rnak": 8}, "no such setting"),
        ({"targets": ["time", "x"]}, "targets"),
        ({"method": "dreambooth"}, "trigger"),
        ({"dora": 1}, "expected bool"),
    ],
)
def test_a_setting_that_will_not_do_is_named(flags, complaint):
    with pytest.raises(TrainError, match=complaint):
        config.build(flags=flags)


def test_the_tables_are_told(capsys):
    assert cli.main(["methods"]) == 0 and cli.main(["recipes"]) == 0
    told = capsys.readouterr().out
    assert (
        "musicgen: the family's player" in told
        and "nano: its 17 million" in told
        and "lora_paper" in told
    )
