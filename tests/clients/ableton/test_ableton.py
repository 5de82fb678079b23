"""The bridge to AbletonOSC, against a double with AbletonOSC's own messages and a real server."""

import functools
from pathlib import Path

import pytest
import soundfile

from tests.clients.studio import FRAMES, RATE_HZ, Listener, free_port, load_script

bridge = load_script(Path(__file__).parents[3] / "clients" / "ableton" / "retimbre_ableton.py")


class AbletonOSC:
    """A Live Set as AbletonOSC shows it.

    Getters answer on their own address at `reply_port`, indices first, and True and False as OSC's
    T and F. Methods and setters answer nothing, and what is unknown is only logged.
    """

    def __init__(self, clip, can_place=True):
        self.tracks = [{"name": "1", "slots": {2: clip}, "arrangement": []}]
        self.selected, self.can_place, self.is_asleep = (0, 2), can_place, False
        self.reply_port = free_port()
        self.listener = Listener(self.hear)

    def hear(self, message):
        if self.is_asleep:
            return
        _, live, kind, *rest = message.address.split("/")
        assert live == "live"
        values = self.answer(kind, rest, message.params)
        if values is not None:
            self.listener.send(self.reply_port, message.address, *values)

    def answer(self, kind, rest, params):
        if kind == "view":
            return self.selected
        if kind == "song":
            return self.song(rest, params)
        if kind == "track":
            return self.track(rest, params)
        track, scene, *values = params
        slots = self.tracks[track]["slots"]
        if kind == "clip_slot" and rest == ["get", "has_clip"]:
            return track, scene, scene in slots
        if kind == "clip_slot" and rest == ["create_audio_clip"] and self.can_place:
            slots[scene] = {"file_path": values[0], "warping": True}
        if kind == "clip" and rest[0] == "get":
            return track, scene, slots[scene][rest[1]]
        if kind == "clip" and rest[0] == "set":
            slots[scene][rest[1]] = values[0]
        return None

    def song(self, rest, params):
        if rest == ["get", "tempo"]:
            return (98.5,)
        if rest == ["get", "num_tracks"]:
            return (len(self.tracks),)
        if rest == ["create_audio_track"]:
            self.tracks.insert(params[0], {"name": "new", "slots": {}, "arrangement": []})
        if rest == ["delete_track"]:
            self.tracks.pop(params[0])
        return None

    def track(self, rest, params):
        track = self.tracks[params[0]]
        if rest == ["set", "name"]:
            track["name"] = params[1]
        if rest == ["create_audio_clip"] and self.can_place:
            track["arrangement"].append(params[2])
        if rest == ["get", "arrangement_clips", "start_time"]:
            return params[0], *track["arrangement"]
        return None


@pytest.fixture
def clip(media, tmp_path):
    return {
        "file_path": str(media / "region.wav"),
        "is_audio_clip": True,
        "warping": False,
        "pitch_coarse": 0,
        "pitch_fine": 0.0,
        "loop_start": 0.0,
        "loop_end": FRAMES / RATE_HZ,
        "gain": 0.4,
        "name": "solo",
    }


@pytest.fixture
def live(clip):
    double = AbletonOSC(clip)
    yield double
    double.listener.close()


@pytest.fixture
def run(live, server_port):
    return functools.partial(_run, live, server_port)


def _run(live, server_port, *words):
    code = bridge.main(
        [
            *words,
            "--port",
            str(server_port),
            "--live-port",
            str(live.listener.port),
            "--reply-port",
            str(live.reply_port),
        ]
    )
    live.listener.close()  # setters are not answered: until here all that was sent has been heard
    return code


def test_the_stem_lands_on_a_new_track_in_the_same_scene(run, live, capsys):
    assert run("copy into a violin") == 0
    new = live.tracks[1]
    stem = new["slots"][2]
    assert (
        new["name"] == "copy into a violin" and soundfile.info(stem["file_path"]).frames == FRAMES
    )
    assert (stem["warping"], stem["gain"]) == (0, pytest.approx(0.4))
    assert capsys.readouterr().out.strip() == stem["file_path"]


def test_only_what_the_clip_plays_goes_out(run, live, clip):
    clip |= {"loop_start": 0.5, "loop_end": 1.0}
    with bridge.Live(port=live.listener.port, reply_port=live.reply_port) as asked:
        found = bridge.find_selected_clip(asked)
    assert (found.start_seconds, found.length_seconds, found.tempo) == (0.5, 0.5, 98.5)
    assert (found.track, found.scene, found.name) == (0, 2, "solo")


def test_a_beat_places_it_in_the_arrangement(run, live):
    assert run("copy", "--beat", "17.5") == 0
    assert live.tracks[1]["arrangement"] == [17.5] and not live.tracks[1]["slots"]


def test_abletonosc_as_it_is_cannot_place_so_the_stem_is_named_and_no_track_left(
    run, live, capsys, monkeypatch
):
    monkeypatch.setattr(bridge, "SETTLE_SECONDS", 0.3)
    live.can_place = False
    assert run("copy") == 1
    printed = capsys.readouterr()
    assert "drag it in by hand" in printed.err and Path(printed.out.strip()).is_file()
    assert len(live.tracks) == 1


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"warping": True}, "switch Warp off"),
        ({"pitch_coarse": 3}, "transposed"),
        ({"is_audio_clip": False}, "MIDI"),
    ],
)
def test_a_clip_whose_file_is_not_what_is_heard_is_refused(run, live, clip, capsys, facts, why):
    clip |= facts
    assert run("copy") == 1
    assert why in capsys.readouterr().err and len(live.tracks) == 1


def test_an_empty_slot_is_refused(run, live, capsys):
    live.selected = (0, 5)
    assert run("copy") == 1
    assert "empty" in capsys.readouterr().err


def test_a_failed_job_says_why_and_leaves_the_set_alone(run, live, capsys):
    assert run("fail out_of_memory") == 1
    assert "out_of_memory" in capsys.readouterr().err and len(live.tracks) == 1


def test_silence_says_what_to_switch_on(live):
    live.is_asleep = True
    silent = bridge.Live(port=live.listener.port, reply_port=live.reply_port)
    with silent as asked, pytest.raises(bridge.LiveError, match="AbletonOSC"):
        asked.ask("/live/song/get/tempo", seconds=0.2)


def test_another_program_on_the_reply_port_is_named(live, run, capsys):
    with bridge.Live(port=live.listener.port, reply_port=live.reply_port):
        assert run("copy") == 1
    assert "is taken" in capsys.readouterr().err
