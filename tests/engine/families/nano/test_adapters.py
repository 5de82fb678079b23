"""Learned words go on and off a loaded nano."""

import numpy as np
import pytest

from engine.errors import EngineError
from engine.knobs import resolve
from engine.progress import ignore_progress, never_cancelled
from presets.style import ResolvedStyle
from tests.engine.signals import noise


def play(nano, preset):
    """The stem as a job with this preset gets it."""
    style = ResolvedStyle.from_json(preset)
    knobs, _ = resolve("violin", {"seed": 1, "steps": 2}, style, nano.defaults)
    job = nano.prepare(style, knobs)
    return nano.port(job, ignore_progress, never_cancelled).run(noise(60_000)[:, 0]).samples


@pytest.fixture
def learned(tmp_path):
    """A file of learned words, and a style that brings it with a weight."""
    from safetensors.numpy import save_file

    path = tmp_path / "style.safetensors"
    save_file(
        {"soft_prompt": np.random.default_rng(0).standard_normal((5, 384)).astype(np.float32)},
        str(path),
    )
    return lambda weight: {"soft_prompt": {"path": str(path), "weight": weight, "sha256": "0" * 64}}


def test_learned_words_change_the_sound_by_their_weight_and_come_off_again(tiny_nano, learned):
    plain = play(tiny_nano, {})
    full, half = (play(tiny_nano, learned(weight)) for weight in (1.0, 0.5))
    assert not np.allclose(full, plain, atol=1e-5) and not np.allclose(full, half, atol=1e-5)
    assert np.array_equal(play(tiny_nano, learned(0.0)), plain)
    assert np.array_equal(play(tiny_nano, {}), plain)


def test_the_negative_words_have_no_soft_prompt(tiny_nano, learned):
    knobs, _ = resolve("violin", {"guidance": 2.0}, None, tiny_nano.defaults)
    tiny_nano.prepare(ResolvedStyle.from_json(learned(1.0)), knobs)
    assert len(tiny_nano.editor.encode_text(((knobs.negative, 1.0),)).bias) == 2
    tiny_nano.prepare(ResolvedStyle(), knobs)


def test_a_file_of_another_model_is_refused_with_what_it_holds(tiny_nano, tmp_path):
    from safetensors.numpy import save_file

    save_file({"soft_prompt": np.zeros((5, 768), np.float32)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(EngineError, match=r"\[5, 768\]") as caught:
        play(tiny_nano, {"soft_prompt": {"path": str(tmp_path / "other.safetensors")}})
    assert caught.value.code == "bad_preset"


def test_lora_on_graphs_without_inputs_for_it_names_the_command(tiny_nano):
    with pytest.raises(EngineError, match="retimbre export nano") as caught:
        play(tiny_nano, {"adapters": [{"path": "style.safetensors"}]})
    assert caught.value.code == "not_ready"
