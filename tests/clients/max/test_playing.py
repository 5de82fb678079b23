"""The patches at work: node plays Max and runs the real scripts; packets go to the real server as
Max would write them.

Max and Live themselves are never here. What Live is asked is a tree in the scenario.
"""

import copy
import json
from pathlib import Path

import pytest
import soundfile
from pythonosc.osc_message import OscMessage

from tests.clients.max.conftest import CLIENT
from tests.clients.max.test_patches import device
from tests.clients.studio import FRAMES, RATE_HZ

PROGRESS, RESULT, DONE, FAIL, NEWS = range(1, 6)  # the abstraction's outlets
CONNECTED = '"connected",1'
ENDED = f'{{"outlet":{DONE}'


@pytest.fixture
def abstraction():
    return json.loads((CLIENT / "retimbre.maxpat").read_bytes())["patcher"]


@pytest.fixture
def audio(media):
    return str(media / "region.wav")


def of(records, key, value=None):
    return [record for record in records if key in record and value in (None, record[key])]


def packets(records, address):
    messages = [OscMessage(bytes.fromhex(record["sent"])) for record in of(records, "sent")]
    return [message.params for message in messages if message.address == address]


def said(records, box):
    """What arrived at a box, and from its outlets' point of view: the status line, the player."""
    return [" ".join(map(str, record["message"])) for record in of(records, "box", box)]


# ---------------------------------------------------------------- the abstraction


def test_a_region_goes_out_and_its_stem_comes_back(play, abstraction, audio):
    records = play(
        abstraction, [CONNECTED, ["inlet", "edit", audio, "copy", "into", "a", "violin"], ENDED]
    )
    [result] = of(records, "outlet", RESULT)
    index, stem, path, rate, channels, frames, start, beats = result["message"]
    assert (index, stem, rate, channels, frames) == (0, "violin", RATE_HZ, 2, FRAMES)
    assert soundfile.info(path).frames == FRAMES
    assert packets(records, "/retimbre/edit")[0] == [1, audio, "copy into a violin"]
    assert packets(records, "/retimbre/got"), "its end was acknowledged"


def test_packets_are_whole_words_of_four_bytes(play, abstraction, audio):
    records = play(abstraction, [CONNECTED, ["inlet", "edit", audio, "copy"], ENDED])
    assert all(len(record["sent"]) % 8 == 0 for record in of(records, "sent"))


def test_a_lost_request_is_sent_again_and_starts_one_job(play, abstraction, audio):
    records = play(
        abstraction, [CONNECTED, '"folder"', ["inlet", "edit", audio, "copy"], ENDED], deaf=1
    )
    assert len(packets(records, "/retimbre/notify")) > 1 and len(of(records, "outlet", DONE)) == 1


def test_a_lost_stem_is_asked_for_before_the_end_is_acknowledged(play, abstraction, audio):
    records = play(
        abstraction, [CONNECTED, ["inlet", "edit", audio, "copy"], ENDED], loses="/retimbre/result"
    )
    assert len(of(records, "outlet", RESULT)) == 1 and packets(records, "/retimbre/job/query")
    assert len(of(records, "outlet", DONE)) == len(packets(records, "/retimbre/got")) == 1


def test_keys_and_styles_go_with_every_job_until_they_are_taken_back(play, abstraction, audio):
    records = play(
        abstraction,
        [
            CONNECTED,
            ["inlet", "key", "seed", 7],
            ["inlet", "preset", "harp", 0.7, "choir", 0.3],
            ["inlet", "edit", audio, "copy"],
            ENDED,
        ],
    )
    assert packets(records, "/retimbre/edit")[0][3:] == ["seed", 7, "preset", "harp 0.7 choir 0.3"]
    assert of(records, "outlet", DONE)[0]["message"][1] == 7
    records = play(
        abstraction,
        [
            CONNECTED,
            ["inlet", "key", "seed", 7],
            ["inlet", "key", "seed"],
            ["inlet", "preset", "-"],
            ["inlet", "edit", audio, "copy"],
            ENDED,
        ],
    )
    assert packets(records, "/retimbre/edit")[0][3:] == []


def test_a_job_is_cancelled_and_ends_once(play, abstraction, audio):
    records = play(
        abstraction,
        [
            CONNECTED,
            ["inlet", "edit", audio, "slow", "400"],
            '"generating"',
            ["inlet", "cancel"],
            f'{{"outlet":{FAIL}',
        ],
    )
    assert [record["message"][0] for record in of(records, "outlet", FAIL)] == ["cancelled"]
    assert not of(records, "outlet", RESULT)


def test_the_last_job_is_repeated_with_another_seed(play, abstraction, audio):
    records = play(
        abstraction,
        [
            CONNECTED,
            ["inlet", "edit", audio, "copy"],
            ENDED,
            ["inlet", "again", "seed", 9],
            f'{{"outlet":{DONE},"message":[1,9',
        ],
    )
    assert packets(records, "/retimbre/again")[0] == [2, 1, "seed", 9]


def test_while_a_job_runs_another_is_refused(play, abstraction, audio):
    records = play(
        abstraction,
        [
            CONNECTED,
            ["inlet", "edit", audio, "slow", "400"],
            '"generating"',
            ["inlet", "edit", audio, "copy"],
            f'{{"outlet":{FAIL},"message":["busy"',
            ["inlet", "cancel"],
            f'{{"outlet":{FAIL},"message":["cancelled"',
        ],
    )
    assert {params[0] for params in packets(records, "/retimbre/edit")} == {1}


def test_a_buffer_goes_through_the_servers_folder_and_the_stem_into_another(
    play, abstraction, audio
):
    records = play(
        abstraction,
        [CONNECTED, ["inlet", "into", "stem"], ["inlet", "buffer", "source", "copy"], ENDED],
        buffers={"source": audio},
    )
    written, read = of(records, "buffer")
    assert written["buffer"] == "source" and written["message"][0] == "writewave"
    assert read["buffer"] == "stem" and soundfile.info(read["message"][1]).frames == FRAMES
    Path(written["message"][1]).unlink()


def test_the_servers_own_words_come_out_when_it_refuses(play, abstraction, audio):
    records = play(
        abstraction, [CONNECTED, ["inlet", "edit", audio + "x", "copy"], f'{{"outlet":{FAIL}']
    )
    assert of(records, "outlet", FAIL)[0]["message"][0] == "no_file"


def test_a_path_as_max_writes_it_on_macos_becomes_one_that_others_know(play, abstraction):
    records = play(
        abstraction,
        [
            CONNECTED,
            ["inlet", "edit", "Macintosh HD:/nowhere/a.wav", "copy"],
            f'{{"outlet":{FAIL}',
            ["inlet", "edit", "Loops:/b.wav", "copy"],
        ],
    )
    # each perhaps several times
    sent = dict.fromkeys(params[1] for params in packets(records, "/retimbre/edit"))
    assert list(sent) == ["/nowhere/a.wav", "/Volumes/Loops/b.wav"]


def test_what_is_no_command_is_named(play, abstraction):
    records = play(abstraction, [["inlet", "edti", "x"], f'{{"outlet":{FAIL}'])
    assert "edti: not a command" in of(records, "outlet", FAIL)[0]["message"][1]


def test_bars_are_captured_without_keys_that_say_where(play, abstraction):
    records = play(
        abstraction,
        [
            CONNECTED,
            ["inlet", "key", "start", 2.5],
            ["inlet", "key", "seed", 7],
            ["inlet", "capture", 4, "a", "violin"],
            f'{{"outlet":{FAIL}',
        ],
    )
    assert packets(records, "/retimbre/capture")[0] == [1, 4, "a violin", "seed", 7]
    assert of(records, "outlet", FAIL)[0]["message"][0] == "not_live"


def test_any_address_may_be_sent_as_it_is(play, abstraction):
    records = play(abstraction, [CONNECTED, ["inlet", "/retimbre/version"], "version.reply"])
    assert of(records, "outlet", NEWS)[-1]["message"][1] == "retimbre"


# ---------------------------------------------------------------- the Live device


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


STATUS = "comment"
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


def created(records):
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
    assert created(records) == [["create_audio_track", 1], ["create_audio_clip", stem]]
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
    assert created(records)[1][2] == 17.5


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
    assert created(records)[1][2] == 17


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
    assert not created(records)
    assert "violin.wav" in said(records, "status")[-1]


def test_the_stem_is_heard_before_it_is_placed(live_device, audio):
    records = live_device(
        song(audio), *words("copy"), READY, ["Audition", "bang"], ["Stop", "bang"]
    )
    opened, started, stopped = said(records, "sfplay~ 2")
    assert opened.startswith("open ") and (started, stopped) == ("1", "0")
    assert not created(records)


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
    assert said(records, "prepend style1")[-1] == "-"
    assert "append chamber_violin" in said(records, "umenu")


def test_the_dials_count_only_when_they_are_switched_on(live_device, audio):
    records = live_device(song(audio), ["strength", 0.5], *words("copy"), READY)
    assert "strength" not in packets(records, "/retimbre/edit")[0]
    records = live_device(
        song(audio), ["strength", 0.5], ["own", 1], ["seed", 5], *words("copy"), READY
    )
    sent = packets(records, "/retimbre/edit")[0]
    assert sent[sent.index("strength") + 1] == 0.5 and sent[sent.index("seed") + 1] == 5


def test_cancel_leaves_the_set_as_it_was(live_device, audio):
    records = live_device(
        song(audio), *words("slow 400"), '"generating"', ["Cancel", "bang"], "Cancelled."
    )
    assert not created(records)


def test_the_progress_bar_moves_and_ends_full(live_device, audio):
    records = live_device(song(audio), *words("slow 6"), READY)
    bar = [record["message"][0] for record in of(records, "box", "slider")]
    assert bar == sorted(bar) and bar[-1] == 1
