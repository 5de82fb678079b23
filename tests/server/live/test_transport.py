import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.live.transport import BarSpan, Position, Transport

RATE = 48000
BEAT = RATE // 2  # frames at 120 bpm


def grid(*positions, rate_hz=RATE):
    """The bars after (frame, position)s."""
    transport = Transport(rate_hz)
    for frame, position in positions:
        transport.update(position, frame)
    return transport.grid


@pytest.mark.parametrize(
    "head, start, beat",
    [
        (8 * BEAT, 4 * BEAT, 4),
        (8 * BEAT + 1, 4 * BEAT, 4),
        (8 * BEAT - 1, 0, 0),
        (12 * BEAT - 1, 4 * BEAT, 4),
    ],
)
def test_the_last_bar_ends_at_the_last_bar_line(head, start, beat):
    assert grid((0, Position(120, 0))).last_bars(1, head) == BarSpan(start, 4 * BEAT, beat)


def test_the_position_may_be_said_anywhere_in_a_bar():
    assert grid((1000 + BEAT, Position(120, 17))).last_bars(2, 1000 + 5 * BEAT) == BarSpan(
        1000 - 4 * BEAT, 8 * BEAT, 12
    )


def test_a_bar_of_six_eight_has_three_quarters():
    assert grid((0, Position(120, 0, 6, 8))).last_bars(1, 7 * BEAT) == BarSpan(
        3 * BEAT, 3 * BEAT, 3
    )


def test_bar_lines_may_lie_elsewhere_after_a_change_of_meter():
    assert grid((0, Position(120, 0, bar_line=7))).last_bars(1, 8 * BEAT) == BarSpan(
        3 * BEAT, 4 * BEAT, 3
    )


@given(
    tempo=st.floats(20, 400),
    bars=st.integers(1, 32),
    head=st.integers(0, 10**8),
    rate=st.sampled_from([44100, RATE]),
)
def test_so_many_bars_have_the_same_number_of_frames_and_have_passed(tempo, bars, head, rate):
    clock = grid((0, Position(tempo, 0)), rate_hz=rate)
    span, bar = clock.last_bars(bars, head), 240 * rate / tempo
    assert span.frames == round(bars * bar)
    assert head - bar - 2 < span.start + span.frames <= head + 1
    assert span.beat == pytest.approx(clock.beat_at(span.start), abs=0.01)


def test_late_messages_do_not_move_the_bars():
    late = [
        (beat * BEAT + delay, Position(120, beat))
        for beat, delay in enumerate((900, 4000, 0, 2500, 3000))
    ]
    assert grid(*late).frame_of(8) == 8 * BEAT


def test_a_jump_moves_the_bars_at_once():
    assert grid((0, Position(120, 0)), (BEAT, Position(120, 33))).frame_of(36) == 4 * BEAT


def test_another_tempo_counts_from_where_it_began():
    clock = grid((0, Position(120, 0)), (4 * BEAT, Position(60, 4)))
    assert clock.last_bars(1, 13 * BEAT) == BarSpan(4 * BEAT, 8 * BEAT, 4)


def test_after_a_stop_the_bars_end_where_it_stopped_wherever_the_playhead_goes():
    clock = grid(
        (0, Position(120, 0)),
        (9 * BEAT, Position(120, 0, is_playing=False)),
        (10 * BEAT, Position(120, 0, is_playing=False)),
    )
    assert clock.last_bars(2, 100 * BEAT) == BarSpan(0, 8 * BEAT, 0)
    assert clock.next_bar(9.5 * BEAT) == 12


def test_after_a_new_start_they_count_anew():
    clock = grid(
        (0, Position(120, 0)),
        (9 * BEAT, Position(120, 9, is_playing=False)),
        (10.1 * BEAT, Position(120, 10)),
    )
    assert clock.frame_of(10) == round(10.1 * BEAT)
    assert clock.last_bars(1, 15 * BEAT).beat == 8


def test_the_next_bar_line_may_be_now():
    clock = grid((0, Position(120, 0)))
    assert [clock.next_bar(frame) for frame in (0, 1, 4 * BEAT, 4 * BEAT + 1)] == [0, 4, 4, 8]


def test_whole_bars_are_counted_back_from_the_last_bar_line():
    clock = grid((0, Position(120, 0)))
    assert [clock.whole_bars(oldest, 9 * BEAT) for oldest in (0, 1, 4 * BEAT, 5 * BEAT)] == [
        2,
        1,
        1,
        0,
    ]
