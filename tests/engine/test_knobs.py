"""Knob, then preset, then default; and messages that name the range."""

import numpy as np
import pytest

from engine.errors import EngineError
from engine.knobs import MAX_DRAWN_SEED, resolve
from presets.style import ResolvedStyle, WeightedText

DEFAULTS = {"strength": 1.0, "pooling": 1, "guidance": 1.5, "negative": "", "steps": 8, "seed": -1}
PRESET = ResolvedStyle.from_json(
    {
        "name": "strings",
        "prompts": [{"text": "violin, soft ", "weight": 3.0}, {"text": "warm", "weight": 1.0}],
        "uses_text": True,
        "negative_prompt": "piano",
        "audio_prompt": {"pooling": 2, "scale": None},
        "guidance": 2.0,
        "steps": None,
        "seed": 7,
    }
)


def test_the_knob_wins_over_the_preset_and_the_preset_over_the_default():
    knobs, notes = resolve("soft", {"guidance": 3}, PRESET, DEFAULTS)
    assert (knobs.guidance, knobs.pooling, knobs.strength, knobs.steps) == (3.0, 2, 1.0, 8)
    assert (knobs.negative, knobs.seed) == ("piano", 7) and not notes


def test_the_weights_of_the_prompts_are_shares():
    knobs, _ = resolve("soft", {}, PRESET, DEFAULTS)
    assert knobs.prompts == (("violin, soft", 0.75), ("warm", 0.25))


def test_words_that_a_preset_does_not_use_are_noted():
    preset = ResolvedStyle(name="organ", prompts=(WeightedText("church organ"),))
    knobs, notes = resolve("a flute", {}, preset, DEFAULTS)
    assert knobs.prompts == (("church organ", 1.0),) and "a flute" in notes[0]


def test_no_words_at_all_are_refused():
    with pytest.raises(EngineError, match="text"):
        resolve("  ", {}, None, DEFAULTS)


def test_a_drawn_seed_is_one_that_every_client_can_repeat():
    knobs, _ = resolve("a flute", {}, None, DEFAULTS)
    assert 0 <= knobs.seed <= MAX_DRAWN_SEED


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("strength", 3, "0 to 2"),
        ("pooling", 0, "1 to 8"),
        ("pooling", 1.5, "whole"),
        ("steps", "8", "number"),
        ("steps", True, "number"),
        ("guidance", float("nan"), "number"),
        ("negative", 4, "text"),
        ("volume", 1, "there are strength"),
    ],
)
def test_a_bad_value_is_answered_with_what_would_be_good(name, value, said):
    with pytest.raises(EngineError, match=said) as caught:
        resolve("a flute", {name: value}, None, DEFAULTS)
    assert caught.value.code == "bad_args"


@pytest.mark.parametrize(
    ("changes", "guided"),
    [
        ({}, [0, 1, 2, 3]),
        ({"guidance_from": 0.25, "guidance_to": 0.75}, [1, 2]),
        (
            {
                "guidance_from": float(np.float32(0.25 + 1e-8)),
                "guidance_to": float(np.float32(0.75 - 1e-8)),
            },
            [1, 2],
        ),
        ({"guidance_to": 0.0}, []),
        ({"guidance_from": 0.8, "guidance_to": 0.2}, []),
    ],
)
def test_guidance_counts_in_its_interval_alone(changes, guided):
    knobs, _ = resolve("a flute", {"guidance": 3.0, **changes}, None, DEFAULTS)
    assert [step for step in range(4) if knobs.guidance_at(step / 4) == 3.0] == guided
    assert {knobs.guidance_at(step / 4) for step in range(4)} <= {1.0, 3.0}


def test_a_family_without_a_knob_gets_what_changes_nothing():
    knobs, _ = resolve("a violin", {}, None, {"guidance": 3.0})
    assert (knobs.guidance, knobs.temperature, knobs.top_k, knobs.strength) == (3.0, 1.0, 250, 1.0)
    colder, _ = resolve("a violin", {"temperature": 0.5}, ResolvedStyle(knobs={"top_k": 50}), {})
    assert (colder.temperature, colder.top_k) == (0.5, 50)
