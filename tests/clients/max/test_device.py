"""The Live device at work: node plays Max, and Live is a tree in the scenario.

The real scripts run, and their packets go to a real server. Live itself is never here.
"""

import copy
import json

import pytest

from tests.clients.max.records import CONNECTED, messages_at, of, packets
from tests.clients.max.test_patches import device


def song(audio, **clip):
    clip = {
        "is_audio_clip": 1,
        "is_arrangement_clip": 0,
        "pitch_coarse": 0,
        "pitch_fine": 0,
        "warping": 0,
        "gain": 0.4,
        "looping": 0,
        "loop_start": 0.25,
        "loop_end": 1.25,
        "name": "solo",
        "file_path": audio,
        **clip,
    }
    slots = [{}, {"clip": clip}]
    track = {"name": "1", "clip_slots": slots, "arrangement_clips": [clip]}
    place = "arrangement_clips 0" if clip["is_arrangement_clip"] else "clip_slots 1 clip"
    return {
        "tempo": 120,
        "loop": 0,
        "loop_start": 0,
        "loop_length": 4,
        "version": [12, 1, 0],
        "tracks": [track],
        "detail": f"live_set tracks 0 {place}",
    }


READY = "Audition or Place"


@pytest.fixture
def live_device(play):
    """live_device(song, *steps): the device in that set."""

    def live_device(song, *steps, **more):
        patcher = copy.deepcopy(device())
        for entry in patcher["boxes"]:  # the status line is the comment without words of its own
            if entry["box"]["maxclass"] == "comment" and not entry["box"]["text"]:
                entry["box"]["varname"] = "status"
        return play(patcher, [["live.thisdevice", "bang"], CONNECTED, *steps], live=song, **more)

    return live_device


def words(text):
    return [["textedit", "set", *text.split()], ["Go", "bang"]]


def creations(records):
    return [
        record["call"] for record in of(records, "call") if record["call"][0].startswith("create")
    ]


def test_a_session_clip_goes_out_and_its_stem_lands_in_the_same_scene_of_a_new_track(
    live_device, audio
):
    records = live_device(song(audio), *words("copy it"), READY, ["Place", "bang"], "Placed")
    sent = packets(records, "/retimbre/edit")[0]
    assert sent[1:3] == [audio, "copy it"]
    keys = dict(zip(sent[3::2], sent[4::2], strict=True))
    assert (
        keys["start"] == "0.250000000" and keys["length"] == "1.000000000" and keys["tempo"] == 120
    )
    stem = of(records, "box", "prepend result")[0]["message"][2]
    assert creations(records) == [["create_audio_track", 1], ["create_audio_clip", stem]]
    new = of(records, "tracks")[0]["tracks"][1]
    assert new["name"] == "violin"
    assert new["clip_slots"][1]["clip"] == {
        "file_path": stem,
        "start_time": 0,
        "warping": 0,
        "gain": 0.4,
        "name": "copy it",
    }


def test_an_arrangement_clip_comes_back_at_its_own_beat(live_device, audio):
    clip = {"is_arrangement_clip": 1, "start_time": 17.5, "end_time": 19.5}
    records = live_device(song(audio, **clip), *words("copy"), READY, ["Place", "bang"], "Placed")
    assert creations(records)[1][2] == 17.5


def test_the_loop_brace_narrows_an_arrangement_clip(live_device, audio):
    clip = {"is_arrangement_clip": 1, "start_time": 16, "end_time": 18}
    set_ = {**song(audio, **clip), "loop": 1, "loop_start": 17, "loop_length": 4}
    records = live_device(set_, *words("copy"), READY, ["Place", "bang"], "Placed")
    sent = packets(records, "/retimbre/edit")[0]
    keys = dict(zip(sent[3::2], sent[4::2], strict=True))
    assert (keys["start"], keys["length"], keys["beats_start"]) == (
        "0.750000000",
        "0.500000000",
        17,
    )
    assert creations(records)[1][2] == 17


def markers(*pairs):
    return json.dumps(
        {"warp_markers": [{"beat_time": beat, "sample_time": second} for beat, second in pairs]}
    )


def test_a_clip_that_is_warped_to_the_songs_own_tempo_is_taken(live_device, audio):
    clip = {
        "warping": 1,
        "warp_markers": markers((0, 0.1), (2, 1.1)),
        "loop_start": 0,
        "loop_end": 2,
    }
    records = live_device(song(audio, **clip), *words("copy"), READY)
    sent = packets(records, "/retimbre/edit")[0]
    keys = dict(zip(sent[3::2], sent[4::2], strict=True))
    assert (keys["start"], keys["length"]) == ("0.100000000", "1.000000000")


@pytest.mark.parametrize(
    ("clip", "why"),
    [
        ({"warping": 1, "warp_markers": markers((0, 0), (2, 1.3))}, "warped to another tempo"),
        ({"warping": 1, "warp_markers": markers((0, 0))}, "does not tell how"),
        ({"pitch_coarse": 3}, "transposed"),
        ({"is_audio_clip": 0}, "MIDI clip"),
        (
            {
                "is_arrangement_clip": 1,
                "start_time": 0,
                "end_time": 8,
                "looping": 1,
                "start_marker": 0,
            },
            "repeats its loop",
        ),
    ],
)
def test_a_clip_whose_file_is_not_what_is_heard_is_refused(live_device, audio, clip, why):
    records = live_device(song(audio, **clip), *words("copy"), why)
    assert not packets(records, "/retimbre/edit")


def test_without_a_clip_it_says_so(live_device, audio):
    live_device({**song(audio), "detail": ""}, *words("copy"), "Click a clip first")


def test_an_older_live_is_told_where_the_file_is(live_device, audio):
    records = live_device(
        {**song(audio), "version": [12, 0, 1]}, *words("copy"), READY, ["Place", "bang"], "by hand"
    )
    assert not creations(records)
    assert "violin.wav" in messages_at(records, "status")[-1]


def test_the_stem_is_heard_before_it_is_placed(live_device, audio):
    records = live_device(
        song(audio), *words("copy"), READY, ["Audition", "bang"], ["Stop", "bang"]
    )
    opened, started, stopped = messages_at(records, "sfplay~ 2")
    assert opened.startswith("open ") and (started, stopped) == ("1", "0")
    assert not creations(records)


def test_two_styles_are_blended_by_the_dial(live_device, audio):
    records = live_device(
        song(audio),
        ["prepend style1", "choir"],
        ["prepend style2", "harp"],
        ["blend", 0.25],
        *words("copy"),
        READY,
    )
    sent = packets(records, "/retimbre/edit")[0]
    assert sent[sent.index("preset") + 1] == "choir 0.75 harp 0.25"


def test_the_style_menus_hold_what_the_server_has(live_device, audio):
    records = live_device(song(audio), '"append","church_organ"', ["umenu", 1], ["umenu", 0])
    assert messages_at(records, "prepend style1")[-1] == "-"
    assert "append chamber_violin" in messages_at(records, "umenu")


def test_the_dials_count_only_when_they_are_switched_on(live_device, audio):
    dials = ["strength", 0.5], ["fidelity", 0.25]
    records = live_device(song(audio), *dials, *words("copy"), READY)
    assert "strength" not in packets(records, "/retimbre/edit")[0]
    records = live_device(song(audio), *dials, ["own", 1], ["seed", 5], *words("copy"), READY)
    sent = packets(records, "/retimbre/edit")[0]
    assert sent[sent.index("fidelity") + 1] == 0.25
    assert sent[sent.index("strength") + 1] == 0.5 and sent[sent.index("seed") + 1] == 5


def test_cancel_leaves_the_set_as_it_was(live_device, audio):
    records = live_device(
        song(audio), *words("slow 400"), '"generating"', ["Cancel", "bang"], "Cancelled."
    )
    assert not creations(records)


def test_the_progress_bar_moves_and_ends_full(live_device, audio):
    records = live_device(song(audio), *words("slow 6"), READY)
    bar = [record["message"][0] for record in of(records, "box", "slider")]
    assert bar == sorted(bar) and bar[-1] == 1
