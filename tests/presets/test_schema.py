"""What a style file may say. Text on one side, meaning on the other."""

import pytest
from pydantic import ValidationError

from presets import Preset, parameters, parse_preset

SMALLEST = """\
name: viola
title: Viola
description: a viola
prompts:
  - text: a viola
licence: CC0-1.0
"""


def test_the_smallest_style_leaves_every_knob_to_the_model_family():
    preset = parse_preset(SMALLEST)
    assert (preset.model, preset.task) == ("nano", "timbre")
    assert [knob.value for knob in parameters(preset)] == [None] * 6 + [""] + [None] * 4


def test_parameters_carry_the_wire_names_with_range_and_help():
    preset = parse_preset(SMALLEST + "audio_prompt: {pooling: 4, scale: 0.5}\nsteps: 8\n")
    values = {each.knob.name: each.value for each in parameters(preset)}
    knobs = {each.knob.name: each.knob for each in parameters(preset)}
    assert (values["pooling"], knobs["pooling"].low, knobs["pooling"].high) == (4, 1, 8)
    assert (values["strength"], knobs["strength"].type) == (0.5, "f")
    assert values["steps"] == 8 and all(knob.help for knob in knobs.values())


def test_a_loaded_style_cannot_be_changed():
    with pytest.raises(ValidationError):
        parse_preset(SMALLEST).guidance = 3.0


def test_a_style_survives_the_round_trip_through_plain_data():
    preset = parse_preset(SMALLEST)
    assert Preset.model_validate(preset.model_dump(mode="json")) == preset
