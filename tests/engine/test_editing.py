"""The whole job in this process: files in, files out."""

import json

import numpy as np
import pytest
import soundfile

from engine import Cancelled, EditRequest, EngineError, ModelCache, edit
from engine.audio.files import sha256_of
from engine.families.nano import family as nano_family
from engine.families.nano.family import DEFAULTS
from tests.engine.signals import noise

KNOBS = {"steps": 1, "seed": 3}


@pytest.fixture
def model_cache(tiny_weights, monkeypatch):
    monkeypatch.setattr(nano_family, "WEIGHTS", tiny_weights)
    return ModelCache(threads=1)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "take"
    folder.mkdir()
    return folder


def request(path, out, **changes):
    return EditRequest(
        **{
            "audio": str(path),
            "text": "a violin",
            "output_dir": str(out),
            "knobs": KNOBS,
            **changes,
        }
    )


def test_a_stem_has_rate_channels_frames_and_format_of_its_region(write, out, model_cache):
    path = write(noise(88_200, 2), 44_100, subtype="PCM_24")
    manifest = edit(
        request(path, out, start_seconds=0.5, length_seconds=1.0, stem_prefix="take"),
        model_cache=model_cache,
    )
    (stem,) = manifest.stems
    info = soundfile.info(stem["path"])
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (
        44_100,
        2,
        44_100,
        "PCM_24",
    )
    assert stem["path"].endswith("take.wav") and stem["peak_dbfs"] <= 0


def test_the_manifest_on_disk_says_how_it_was_made(write, out, model_cache):
    path = write(noise(48_000), 48_000)
    manifest = edit(request(path, out, context={"job": "7"}), model_cache=model_cache)
    values = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert values == manifest.values
    assert values["input"]["sha256"] == sha256_of(path) and values["stems"][0]["sha256"]
    assert (
        values["seed"] == values["knobs"]["seed"] == 3
        and values["knobs"]["guidance"] == DEFAULTS["guidance"]
    )
    assert set(values["model"]["files"]) >= {"denoiser.onnx", "tokenizer.json"}
    assert values["context"] == {"job": "7"}
    assert {"encoding", "generating", "decoding", "fitting", "writing", "total"} <= set(
        values["timings_seconds"]
    )


def test_the_same_seed_writes_the_same_file(write, out, model_cache):
    path = write(noise(24_000, 2), 48_000)
    one, two = (edit(request(path, out), model_cache=model_cache).stems[0] for _ in range(2))
    assert one["path"] != two["path"] and one["sha256"] == two["sha256"]


def test_the_input_is_never_written_to(write, model_cache, tmp_path):
    path = write(noise(24_000), 48_000, name="stem.wav")
    before = path.read_bytes()
    # the stem's own name is taken by the input
    manifest = edit(request(path, tmp_path), model_cache=model_cache)
    assert path.read_bytes() == before and manifest.stems[0]["path"].endswith("stem-2.wav")


def test_silence_is_answered_without_asking_the_model(write, out, model_cache):
    manifest = edit(request(write(np.zeros((4_800, 2)), 48_000), out), model_cache=model_cache)
    assert manifest.stems[0]["loudness_lufs"] is None  # JSON has no infinity
    assert any("silent" in note for note in manifest.values["notes"])


def test_progress_goes_through_the_stages_in_order(write, out, model_cache):
    told = []
    edit(
        request(write(noise(24_000), 48_000), out),
        model_cache=model_cache,
        progress=lambda *what: told.append(what),
    )
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["loading", "encoding", "generating", "decoding", "fitting", "writing"]
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)


def test_a_cancelled_job_leaves_nothing(write, out, model_cache):
    with pytest.raises(Cancelled):
        edit(
            request(write(noise(24_000), 48_000), out),
            model_cache=model_cache,
            cancelled=lambda: True,
        )
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": "mega"}, "unknown_model"),
        ({"knobs": {"steps": 0}}, "bad_args"),
        ({"level": "loud"}, "bad_args"),
        ({"format": "mp3"}, "bad_args"),
        ({"preset": {"name": "x", "task": "repaint", "prompts": [{"text": "x"}]}}, "bad_preset"),
        ({"length_seconds": 0.01}, "too_short"),
        ({"output_dir": "/nowhere/at/all"}, "write_failed"),
        ({"audio": "/nowhere/at/all.wav"}, "no_file"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_model_is_loaded(
    write, out, model_cache, changes, code
):
    with pytest.raises(EngineError) as caught:
        edit(request(write(noise(24_000), 48_000), out, **changes), model_cache=model_cache)
    assert (
        caught.value.code == code and not model_cache.is_loaded("nano") and not list(out.iterdir())
    )


def test_missing_weights_are_a_clear_message(write, out, tmp_path, monkeypatch):
    monkeypatch.setattr(nano_family, "WEIGHTS", tmp_path)
    with pytest.raises(EngineError, match="install") as caught:
        edit(request(write(noise(24_000), 48_000), out), model_cache=ModelCache(1))
    assert caught.value.code == "not_ready"


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": None},
        {"audio": 3},
        {"start_seconds": "1"},
        {"length_seconds": True},
        {"knobs": [1]},
    ],
)
def test_a_field_of_the_wrong_type_is_bad_args(wrong):
    with pytest.raises(EngineError, match=next(iter(wrong))) as caught:
        EditRequest.from_dict({"audio": "a", "text": "b", "output_dir": "c", **wrong})
    assert caught.value.code == "bad_args"


def test_a_request_with_an_unknown_field_names_the_known_ones():
    with pytest.raises(EngineError, match="output_dir"):
        EditRequest.from_dict({"audio": "a", "text": "b", "output_dir": "c", "tempo": 3})


def test_a_job_with_several_stems_writes_each_and_one_manifest(write, out, model_cache):
    path = write(noise(48_000, 2), 48_000)
    manifest = edit(
        request(path, out, text="add bass and drums", stem_prefix="take"), model_cache=model_cache
    )
    assert [stem["name"] for stem in manifest.stems] == ["bass", "drums"]
    assert [stem["path"].rsplit("take_")[-1] for stem in manifest.stems] == [
        "bass.wav",
        "drums.wav",
    ]
    assert {(stem["frames"], stem["channels"]) for stem in manifest.stems} == {(48_000, 2)}
    assert any(note.startswith("heard: ") for note in manifest.values["notes"])
