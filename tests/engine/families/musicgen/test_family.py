"""Region to stem through `engine.edit`, as a job has it."""

import json

import numpy as np
import pytest
import soundfile

from engine.editing import EditRequest, edit
from engine.errors import Cancelled, EngineError
from engine.families.musicgen.weights import MusicGenWeights
from engine.families.registry import ModelCache, family_named
from presets import SHIPPED_FOLDER, Library, resolve
from tests.engine.families.musicgen import tiny
from tests.engine.signals import noise, sine

STYLES = ("musicgen_generate", "musicgen_continue", "musicgen_accompaniment")


@pytest.fixture(scope="module")
def model_cache(musicgen_folder):
    return ModelCache(1, musicgen_folder)


@pytest.fixture
def make(model_cache, tmp_path):
    """make(samples or None for a silent stereo region, **fields of the request) -> manifest."""
    count = iter(range(100))

    def _make(samples=None, model_cache=model_cache, **fields):
        folder = tmp_path / f"out{next(count)}"
        folder.mkdir()
        path = folder / "in.wav"
        soundfile.write(
            path, np.zeros((60_000, 2)) if samples is None else samples, 44_100, subtype="PCM_24"
        )
        row = {
            "text": "a violin",
            "model": "musicgen",
            "knobs": {"seed": 5},
            "start_seconds": 0.55,
            "length_seconds": 0.3,
        }
        return edit(
            EditRequest(str(path), output_dir=str(folder), **{**row, **fields}),
            model_cache=model_cache,
        )

    return _make


def resolve_shipped(name, text="a violin"):
    return resolve(Library([SHIPPED_FOLDER]).get(name), text).to_json()


def read_stem(manifest):
    return soundfile.read(manifest.stems[0]["path"])[0]


@pytest.mark.parametrize("name", STYLES)
def test_every_shipped_style_makes_a_stem_that_drops_into_its_place(make, name):
    manifest = make(sine(60_000, 44_100, 440), preset=resolve_shipped(name))
    (stem,) = manifest.stems
    assert (stem["frames"], stem["channels"], stem["rate_hz"], stem["subtype"]) == (
        13_230,
        1,
        44_100,
        "PCM_24",
    )
    assert stem["name"] == name.removeprefix("musicgen_")
    assert np.abs(read_stem(manifest)).max() > 0


def test_silence_is_filled_in_every_channel(make):
    samples = read_stem(make())
    assert samples.shape == (13_230, 2) and np.abs(samples).max() > 0
    np.testing.assert_array_equal(samples[:, 0], samples[:, 1])


def test_the_manifest_says_what_ran_on_which_files_under_which_licence(make):
    values = json.loads(make(knobs={"seed": 5, "steps": 9}).path.read_text(encoding="utf-8"))
    assert (values["runtime"], values["knobs"]["guidance"], values["seed"]) == ("torch", 3.0, 5)
    assert "non-commercial" in values["model"]["licence"]
    assert {"config.json", "model.safetensors"} <= set(values["model"]["files"])
    assert {"model: musicgen-small", "knobs: steps mean nothing to musicgen"} <= set(
        values["notes"]
    )
    assert "peft" in values["versions"]


def test_the_same_seed_makes_the_same_file(make):
    hashes = {make().stems[0]["sha256"] for _ in range(2)}
    assert len(hashes) == 1
    assert make(knobs={"seed": 6}).stems[0]["sha256"] not in hashes


def test_a_continuation_hears_what_lies_before_the_region_and_nothing_else(make):
    def hash_of(before, after):
        file = np.concatenate(
            [noise(24_255, seed=before), np.zeros((13_230, 1)), noise(22_515, seed=after)]
        )
        return make(file, preset=resolve_shipped("musicgen_continue"), level="none").stems[0][
            "sha256"
        ]

    assert hash_of(1, 2) == hash_of(1, 3) != hash_of(4, 2)


def test_an_accompaniment_hears_the_regions_melody(make):
    def hash_of(frequency_hz):
        manifest = make(
            sine(60_000, 44_100, frequency_hz),
            preset=resolve_shipped("musicgen_accompaniment"),
            level="none",
        )
        return manifest.stems[0]["sha256"]

    assert hash_of(440) != hash_of(523)


def test_a_styles_lora_and_soft_prompt_play_and_the_next_job_is_without_them(make, tmp_path):
    import torch

    from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt

    write_soft_prompt(tmp_path / "prompt.safetensors", SoftPrompt(torch.randn(30, tiny.TEXT_WIDTH)))
    lora = tiny.write_lora(tmp_path / "lora")
    style = {
        **resolve_shipped("musicgen_generate"),
        "adapters": [{"path": str(lora), "weight": 1.0, "sha256": "0" * 64}],
        "soft_prompt": {
            "path": str(tmp_path / "prompt.safetensors"),
            "weight": 1.0,
            "sha256": "1" * 64,
        },
    }
    plain = make().stems[0]["sha256"]
    styled = make(preset=style)
    assert styled.stems[0]["sha256"] != plain
    used = set(styled.values["model"]["files"])
    assert {"lora/adapter_model.safetensors", f"{tmp_path.name}/prompt.safetensors"} <= used
    assert make(preset={**style, "adapters": []}).stems[0]["sha256"] not in (
        plain,
        styled.stems[0]["sha256"],
    )
    assert make().stems[0]["sha256"] == plain


def test_a_lora_chooses_the_checkpoint_it_was_trained_on_and_another_one_is_told(make, tmp_path):
    def play_on(base):
        path = tiny.write_lora(tmp_path / base, seed=1)
        beside = path.with_name("adapter_config.json")
        config = {
            **json.loads(beside.read_text(encoding="utf-8")),
            "base_model_name_or_path": f"facebook/{base}",
        }
        beside.write_text(json.dumps(config), encoding="utf-8")
        row = {"path": str(path), "weight": 1.0, "sha256": "0" * 64}
        return make(preset={**resolve_shipped("musicgen_generate"), "adapters": [row]}).values[
            "notes"
        ]

    assert "model: musicgen-small" in play_on("musicgen-small")
    note = "adapters: trained on facebook/musicgen-large, played on musicgen-small"
    assert note in play_on("musicgen-large")


def test_words_beyond_what_t5_reads_are_told(make):
    assert any(
        note.startswith("text: only the beginning")
        for note in make(text="very slow " * 20).values["notes"]
    )


def test_a_checkpoint_that_cannot_be_read_does_not_hold_up_the_next_job(
    make, musicgen_folder, tmp_path
):
    models = tmp_path / "models"
    models.mkdir()
    (models / "musicgen-small").symlink_to(
        musicgen_folder / "musicgen-small", target_is_directory=True
    )
    (models / "musicgen-melody").mkdir()
    (models / "musicgen-melody" / "config.json").write_text(
        '{"model_type": "musicgen_melody"}', encoding="utf-8"
    )
    model_cache = ModelCache(1, models)
    with pytest.raises(EngineError, match="fetch it again"):
        make(
            noise(60_000), model_cache=model_cache, preset=resolve_shipped("musicgen_accompaniment")
        )
    assert make(model_cache=model_cache).stems[0]["frames"] == 13_230


def test_a_stereo_checkpoint_fills_left_and_right_apart(make, tmp_path):
    tiny.write(tmp_path / "models" / "musicgen", channels=2)
    samples = read_stem(make(model_cache=ModelCache(1, tmp_path / "models")))
    assert samples.shape == (13_230, 2) and np.abs(samples[:, 0] - samples[:, 1]).max() > 1e-4


def test_missing_weights_fail_with_command_size_and_licence(make, tmp_path):
    with pytest.raises(EngineError) as caught:
        make(model_cache=ModelCache(1, tmp_path / "nothing"))
    # as much as a /fail may say
    assert caught.value.code == "missing_weights" and len(caught.value.message) <= 900
    for part in (
        "hf download facebook/musicgen-small",
        "2.4 GB",
        "13.7 GB",
        "CC-BY-NC-4.0",
        "non-commercial",
    ):
        assert part in caught.value.message


def test_an_accompaniment_without_a_melody_checkpoint_names_the_one_to_fetch(
    make, musicgen_folder, tmp_path
):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "musicgen-small").symlink_to(
        musicgen_folder / "musicgen-small", target_is_directory=True
    )
    with pytest.raises(EngineError, match="hf download facebook/musicgen-melody ") as caught:
        make(
            noise(60_000),
            model_cache=ModelCache(1, tmp_path / "models"),
            preset=resolve_shipped("musicgen_accompaniment"),
        )
    assert caught.value.code == "missing_weights"


def test_the_users_own_checkpoint_goes_before_the_published_ones(tmp_path):
    kinds = {
        "musicgen-large": "musicgen",
        "musicgen-melody": "musicgen_melody",
        "musicgen": "musicgen",
    }
    for name, kind in kinds.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(
            json.dumps({"model_type": kind}), encoding="utf-8"
        )
    weights = MusicGenWeights(tmp_path)
    assert (
        weights.find(["musicgen"]).name == "musicgen"
        and weights.find(["musicgen_melody"]).name == "musicgen-melody"
    )
    assert weights.find_named("facebook/musicgen-large").name == "musicgen-large"


def test_a_checkpoint_in_the_hub_cache_is_found_without_a_network(tmp_path, monkeypatch):
    from huggingface_hub import constants

    repository = tmp_path / "models--facebook--musicgen-medium"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    (snapshot / "config.json").write_text('{"model_type": "musicgen"}')
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert MusicGenWeights(None).find(["musicgen"]) == snapshot


def test_a_broken_checkpoint_is_not_filled_with_random_numbers(make, tmp_path):
    folder = tiny.write(tmp_path / "models" / "musicgen")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="fetch it again") as caught:
        make(model_cache=ModelCache(1, tmp_path / "models"))
    assert caught.value.code == "missing_weights"


def test_a_cancel_is_heard_while_loading_and_between_steps(musicgen_folder):
    family = family_named("musicgen").load(1, musicgen_folder)
    with pytest.raises(Cancelled):
        family.warm_up(lambda: True)
    told: list[str] = []
    family.warm_up(lambda: False, lambda stage, fraction: told.append(stage))
    assert told == ["loading"]


def test_an_unloaded_family_gives_its_parts_back(musicgen_folder):
    model_cache = ModelCache(1, musicgen_folder)
    family = model_cache.warm("musicgen", lambda: False, lambda stage, fraction: None)
    model_cache.drop("musicgen")
    assert family._editor is None and not model_cache.is_loaded("musicgen")


def test_temperature_and_top_k_are_the_clients_or_the_styles(make):
    plain, cold = make(), make(knobs={"seed": 5, "temperature": 0.0})
    assert cold.values["knobs"]["temperature"] == 0.0 and plain.values["knobs"]["top_k"] == 250
    assert cold.stems[0]["sha256"] != plain.stems[0]["sha256"]
    likeliest = make(preset={**resolve_shipped("musicgen_generate"), "top_k": 1})
    assert likeliest.stems[0]["sha256"] == cold.stems[0]["sha256"]
