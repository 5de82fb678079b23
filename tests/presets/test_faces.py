"""Every face of a knob says what the table of knobs says: the one test that lists them all."""

import argparse
import dataclasses
import json
import re
import sys
import typing

import pytest

from engine.errors import EngineError
from engine.families.registry import FAMILIES
from engine.knobs import Knobs, resolve
from osc_protocol import EDIT_KEYS, decode_reply, encode
from osc_protocol.arguments import RANGES, BadArgument, take
from presets import PresetError, parse_preset
from presets.knobs import KNOBS, MAX_SEED, PRESET_KNOBS, select_stated
from presets.schema import AudioPrompt, Preset
from server.cli import edit
from server.http import openapi
from server.paths import REPOSITORY

CLIENTS = REPOSITORY / "clients"
TYPES = {"f": float, "i": int, "s": str}
COMMON = {name for name, knob in KNOBS.items() if knob.is_common}
SMALLEST = {
    "name": "x",
    "title": "x",
    "description": "x",
    "licence": "x",
    "prompts": [{"text": "x"}],
}

every_knob = pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
every_preset_knob = pytest.mark.parametrize(
    "knob", PRESET_KNOBS.values(), ids=lambda knob: knob.name
)


def preset_with(knob, value):
    """A preset file that states one knob."""
    for key in reversed(knob.preset_path):
        value = {key: value}
    return parse_preset(json.dumps({**SMALLEST, **value}))


def out_of_range(knob):
    """The nearest values that no face may take."""
    if knob.type == "s":
        return ["x" * (int(knob.high) + 1), "é" * (int(knob.high) // 2 + 1)]
    step = 1 if knob.type == "i" else 0.01
    return [knob.low - step, knob.high + step]


def extremes(knob):
    return ["x" * int(knob.high)] if knob.type == "s" else [knob.low, knob.high]


@every_knob
def test_the_protocol_has_the_same_row(knob):
    row = EDIT_KEYS[knob.name]
    assert (row.type, row.unit, row.help) == (knob.type, knob.unit, knob.help)
    assert row.default == knob.auto
    low, high = RANGES.get(row.type, (None, None))
    assert (low if row.low is None else row.low) == (None if knob.type == "s" else knob.low)
    assert (high if row.high is None else row.high) == knob.high


@every_knob
def test_the_wire_takes_the_same_range(knob):
    row = EDIT_KEYS[knob.name]
    for value in extremes(knob):
        assert take(row, value) == value
    for value in out_of_range(knob):
        with pytest.raises(BadArgument, match=knob.name):
            take(row, value)


def test_get_answers_with_the_beginning_of_a_text_that_fills_more_than_a_datagram():
    longest = "x" * int(KNOBS["negative"].high)
    value = decode_reply(encode("/retimbre/get.reply", "negative", longest)).values["value"]
    assert value.endswith("…") and longest.startswith(value[:-1]) and len(value) > 1000


@every_preset_knob
def test_a_preset_file_takes_the_same_range(knob):
    owner = Preset
    for name in knob.preset_path[:-1]:
        owner = owner.model_fields[name].annotation
    field = owner.model_fields[knob.preset_path[-1]]
    assert field.description == knob.help
    types = typing.get_args(field.annotation) or (field.annotation,)
    assert set(types) - {type(None)} == {TYPES[knob.type]}
    for value in extremes(knob):
        assert preset_with(knob, value)
    for value in out_of_range(knob):
        with pytest.raises(PresetError, match="expected at"):
            preset_with(knob, value)


def test_a_preset_file_has_no_knob_of_its_own():
    places = {knob.preset_path for knob in PRESET_KNOBS.values()}
    numbers = {
        (*path, name)
        for path, model in (((), Preset), (("audio_prompt",), AudioPrompt))
        for name, field in model.model_fields.items()
        if {int, float} & set(typing.get_args(field.annotation))
    }
    assert numbers | {("negative_prompt",)} == places


@every_knob
def test_the_engine_takes_the_same_range(knob):
    for value in extremes(knob):
        assert resolve("words", {knob.name: value}, None, {})
    for value in out_of_range(knob):
        with pytest.raises(EngineError, match=knob.name):
            resolve("words", {knob.name: value}, None, {})


def test_the_engine_decides_exactly_these_knobs():
    types = typing.get_type_hints(Knobs)
    assert {field.name for field in dataclasses.fields(Knobs)} == {*KNOBS, "prompts"}
    assert all(types[name] is TYPES[knob.type] for name, knob in KNOBS.items())
    defaults = {each.name: each.default for each in dataclasses.fields(Knobs)}
    stated = {name: value for name, value in defaults.items() if value is not dataclasses.MISSING}
    assert stated == {name: KNOBS[name].neutral for name in stated}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_a_family_has_defaults_for_the_knobs_that_it_takes(family):
    takes = {name for name, knob in KNOBS.items() if family.name in knob.families}
    assert set(family.defaults) == takes


def test_a_jobs_request_carries_what_was_stated_and_nothing_else():
    keys = {name: knob.auto for name, knob in KNOBS.items()}
    assert select_stated(keys) == {}
    turned = {name: knob.high for name, knob in KNOBS.items() if knob.type != "s"}
    assert select_stated({**keys, **turned, "seed": 3, "takes": 2}) == {
        name: value for name, value in turned.items() if name != "seed"
    }


@every_knob
def test_the_command_line_has_a_flag_for_it(knob):
    parser = argparse.ArgumentParser()
    edit.add_arguments(parser)
    [flag] = [each for each in parser._actions if f"--{knob.name}" in each.option_strings]
    span = "" if knob.type == "s" or knob.high == MAX_SEED else f"{knob.low:g} to {knob.high:g}"
    assert flag.help.startswith(knob.help) and span in flag.help and knob.unit in flag.help


@every_knob
def test_http_describes_it_with_the_same_limits(knob):
    operation = openapi.document()["paths"]["/retimbre/edit"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    schema = body["properties"][knob.name]
    assert schema["description"].startswith(knob.help)
    if knob.type == "s":
        assert schema["maxLength"] == knob.high
    elif knob.high != MAX_SEED:
        assert (schema["minimum"], schema["maximum"]) == (knob.low, knob.high)


def test_the_page_declares_no_knob_but_the_seed_which_has_a_box_of_its_own():
    page = REPOSITORY / "server" / "page"
    text = "".join(path.read_text() for path in (page / "modules").glob("*.js"))
    named = {name for name in KNOBS if re.search(rf"[\"'`]{name}[\"'`]", text)}
    assert named <= {"seed", "stems", "tempo"}


def test_the_live_device_has_a_dial_for_each_common_number(monkeypatch):
    monkeypatch.syspath_prepend(str(CLIENTS / "max"))
    from patches.knobs import KNOBS as DIALS

    dials = {dial.name: dial for dial in DIALS}
    assert set(dials) == {n for n in COMMON if KNOBS[n].type != "s"} - {"seed"}
    for name, dial in dials.items():
        assert (dial.low, dial.high) == (KNOBS[name].low, KNOBS[name].high)
    for module in [name for name in sys.modules if name.split(".")[0] == "patches"]:
        monkeypatch.delitem(sys.modules, module)


def test_supercollider_has_an_argument_for_each_common_knob_and_tells_its_range():
    source = (CLIENTS / "supercollider" / "Classes" / "Retimbre.sc").read_text()
    [arguments] = re.findall(r"\tedit \{ \|buffer, text = .*?\|", source, re.S)
    assert set(re.findall(r"\w+", arguments)) & set(KNOBS) == COMMON
    help_file = CLIENTS / "supercollider" / "HelpSource" / "Classes" / "Retimbre.schelp"
    told = dict(re.findall(r"ARGUMENT:: (\w+)\n(.+)", help_file.read_text()))
    for knob in (KNOBS[name] for name in COMMON - {"seed"}):
        span = "" if knob.type == "s" else f"{knob.low:g} to {knob.high:g}: "
        assert told[knob.name].lower().startswith(f"{span}{knob.help}".lower())


def test_the_pure_data_help_tells_the_range_of_each_common_knob():
    text = (CLIENTS / "pd" / "retimbre-help.pd").read_text().replace(" \\,", ",")
    for knob in (KNOBS[name] for name in COMMON - {"seed", "negative"}):
        assert f"{knob.name} {knob.low:g} to {knob.high:g}," in text
    assert "seed, negative" in text
