"""[retimbre] at work: node plays Max, runs the real script, and its packets go to a real server.

Max itself is never here.
"""

import json
from pathlib import Path

import pytest
import soundfile

from tests.clients.max.conftest import CLIENT
from tests.clients.max.records import CONNECTED, of, packets
from tests.clients.studio import FRAMES, RATE_HZ

RESULT, DONE, FAIL, NEWS = range(2, 6)  # the abstraction's outlets
ENDED = f'{{"outlet":{DONE}'


@pytest.fixture
def abstraction():
    return json.loads((CLIENT / "retimbre.maxpat").read_bytes())["patcher"]


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
