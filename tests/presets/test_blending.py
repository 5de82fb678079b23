"""Blending by weights, and what goes down to the engine."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presets import PresetError, blend, parse_preset, resolve
from presets.schema import TensorFile
from presets.style import WeightedText


def preset(name, **fields):
    base = {"name": name, "title": name.title(), "description": name, "licence": "CC0-1.0"}
    return parse_preset(json.dumps({**base, "prompts": [{"text": f"a {name}"}], **fields}))


ORGAN = preset("organ", guidance=2.0, steps=4, audio_prompt={"pooling": 1, "scale": 1.0}, seed=7)
FLUTE = preset(
    "flute",
    guidance=1.0,
    steps=8,
    audio_prompt={"pooling": 8, "scale": 0.5},
    negative_prompt="noise",
)


def test_prompt_weights_are_scaled_and_knobs_lie_between():
    mixed = blend([(ORGAN, 0.7), (FLUTE, 0.3)])
    assert [(prompt.text, round(prompt.weight, 6)) for prompt in mixed.prompts] == [
        ("a organ", 0.7),
        ("a flute", 0.3),
    ]
    assert (mixed.guidance, mixed.steps, mixed.audio_prompt.pooling, mixed.audio_prompt.scale) == (
        1.7,
        5,
        3,
        0.85,
    )
    assert (mixed.negative_prompt, mixed.seed, mixed.name) == ("noise", 7, "organ_0.7_flute_0.3")


def test_only_the_ratio_of_the_weights_counts():
    assert blend([(ORGAN, 7), (FLUTE, 3)]) == blend([(ORGAN, 0.7), (FLUTE, 0.3)])


def test_a_style_blended_with_nothing_plays_as_itself():
    alone, organ = resolve(blend([(ORGAN, 1.0), (FLUTE, 0.0)])), resolve(ORGAN)
    assert (alone.prompts, alone.knobs) == (organ.prompts, organ.knobs)


def test_a_knob_that_only_one_style_states_keeps_its_value():
    assert blend([(ORGAN, 0.5), (preset("plain"), 0.5)]).guidance == 2.0


@given(st.lists(st.floats(0.001, 1000), min_size=2, max_size=5))
def test_shares_sum_to_one_and_knobs_stay_between_the_extremes(weights):
    styles = [preset(f"s{index}", guidance=float(index)) for index in range(len(weights))]
    mixed = blend(list(zip(styles, weights, strict=True)))
    assert sum(prompt.weight for prompt in mixed.prompts) == pytest.approx(1)
    assert 0 <= mixed.guidance <= len(weights) - 1


def adapter(path, weight=1.0):
    return TensorFile(path=path, weight=weight, sha256="0" * 64)


def test_adapters_are_all_kept_with_scaled_weights_and_equal_files_add_up():
    a = ORGAN.model_copy(
        update={"adapters": (adapter("x.safetensors"), adapter("y.safetensors", 0.5))}
    )
    b = FLUTE.model_copy(update={"adapters": (adapter("x.safetensors"),)})
    mixed = blend([(a, 0.5), (b, 0.5)])
    assert [(item.path, item.weight) for item in mixed.adapters] == [
        ("x.safetensors", 1.0),
        ("y.safetensors", 0.25),
    ]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [(ORGAN, 1), (preset("big", model="musicgen"), 1)],
            "expected styles of one model, but organ has nano, big has musicgen",
        ),
        ([(ORGAN, 1), (preset("new", task="genre"), 1)], "expected styles of one task"),
        ([(ORGAN, 0.0)], "at least one style"),
        ([], "at least one style"),
        ([(ORGAN, -1.0)], "expected 0 or more"),
        ([(ORGAN, float("nan"))], "expected 0 or more"),
    ],
)
def test_what_cannot_be_blended_is_refused(parts, message):
    with pytest.raises(PresetError, match=message):
        blend(parts)


def test_a_blend_of_more_prompts_than_a_preset_holds_says_so():
    many = [preset(f"p{i}", prompts=[{"text": f"{i} {j}"} for j in range(4)]) for i in range(5)]
    with pytest.raises(PresetError, match="prompts: .* blend fewer styles") as caught:
        blend([(each, 1.0) for each in many])
    assert caught.value.code == "bad_preset"


def test_soft_prompts_are_scaled_and_different_ones_stand_side_by_side():
    a = ORGAN.model_copy(update={"soft_prompt": adapter("a.safetensors")})
    b = FLUTE.model_copy(update={"soft_prompt": adapter("b.safetensors")})
    assert blend([(a, 0.25), (FLUTE, 0.75)]).soft_prompt.weight == 0.25
    both = blend([(a, 3), (b, 1)])
    assert [each.weight for each in both.soft_prompts] == [0.75, 0.25]
    assert [file.weight for file in resolve(both).soft_prompts] == [0.75, 0.25]
    assert blend([(both, 1), (a, 1)]).soft_prompts[0].weight == 0.875
    assert resolve(FLUTE).soft_prompts == () and resolve(a).soft_prompts[0].weight == 1.0


def test_the_users_words_take_their_place_and_the_rest_is_plain_json():
    style = resolve(
        preset("own", prompts=[{"text": "{text}, softly", "weight": 2.0}]), " a \n fiddle "
    )
    plain = style.to_json()
    assert plain["prompts"] == [{"text": "a fiddle, softly", "weight": 2.0}]
    assert plain["uses_text"] and json.loads(json.dumps(plain)) == plain


def test_a_prompt_that_is_empty_without_words_is_dropped_and_unused_words_are_told():
    alone = resolve(preset("own", prompts=[{"text": "{text}"}, {"text": "strings"}]))
    assert alone.prompts == (WeightedText("strings"),)
    assert resolve(ORGAN, "a fiddle").uses_text is False


def test_words_that_look_like_a_placeholder_stay_words():
    style = resolve(preset("own", prompts=[{"text": "{text} and {other}"}]), "{text}")
    assert style.prompts[0].text == "{text} and {other}"
