import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.live.player import Player, as_channels

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (400, 2)).astype(np.float32)


def play_blocks(player, blocks, at=0):
    """What comes out from frame `at` on, asked for in blocks."""
    pieces = []
    for frames in blocks:
        piece = np.full((frames, 2), np.nan, np.float32)
        player.fill(piece, at)
        pieces.append(piece)
        at += frames
    return np.concatenate(pieces)


def player(*starts, rate_hz=5000):  # fades of ten frames
    made = Player(rate_hz, 2)
    if starts:
        made.play(NOISE, list(starts), now=0)
    return made


@given(start=st.integers(0, 900), blocks=st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_whatever_blocks_are_asked_for_it_is_the_same_sound(start, blocks):
    sound = player(start)
    assert np.array_equal(play_blocks(sound, blocks), play_blocks(sound, [sum(blocks)]))


def test_a_stem_is_played_from_its_frame_on_unchanged_but_for_short_fades():
    out = play_blocks(player(100), [1000])
    assert not out[:100].any() and not out[500:].any()
    assert np.array_equal(out[110:490], NOISE[10:390])
    assert (np.abs(out[[100, 499]]) < np.abs(NOISE[[0, 399]])).all()


def test_repeats_are_joined_without_a_fade():
    assert np.array_equal(
        play_blocks(player(0, 400), [800])[10:790], np.concatenate([NOISE, NOISE])[10:790]
    )


def test_a_new_stem_ends_the_one_before_and_the_same_one_twice_is_once():
    both = player(0)
    both.play(NOISE, [50], now=0)
    both.play(NOISE, [50], now=0)
    out = play_blocks(both, [450])
    assert np.array_equal(out[10:50], NOISE[10:50]) and np.array_equal(out[60:440], NOISE[10:390])


def test_silence_fades_what_sounds_and_forgets_what_was_to_come():
    stopped = player(0, 400)
    stopped.silence(100)
    out = play_blocks(stopped, [900])
    assert np.array_equal(out[10:100], NOISE[10:100]) and out[100:110].any() and not out[110:].any()


def test_what_has_ended_is_forgotten():
    sound = player(0)
    sound.play(NOISE, [5000], now=400)
    assert len(sound._sounds) == 1


def test_mono_goes_everywhere_and_missing_channels_are_silent():
    mono = as_channels(np.ones((3, 1), np.float32), 2)
    wide = as_channels(np.ones((3, 2), np.float32), 4)
    assert (mono == 1).all() and (wide[:, :2] == 1).all() and not wide[:, 2:].any()
    assert as_channels(np.ones((3, 8), np.float32), 2).shape == (3, 2)
