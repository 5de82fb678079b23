import numpy as np
import pytest

from server.live.clock import TICKS, FrameClock

RATE, BLOCK = 48000, 480  # 10 ms


def clock(lateness_seconds, lag_seconds=0.01, lost_at=None, lost=0):
    """A clock that heard a block every 10 ms from time 100 on, each late by some time."""
    made = FrameClock(RATE, usual_lag_seconds=0.02)
    for block, late in enumerate(lateness_seconds):
        frame = block * BLOCK - (lost if lost_at is not None and block >= lost_at else 0)
        made.tick(frame, 100 + 0.01 * block + late, lag_seconds)
    return made


def test_a_time_is_a_frame_however_late_callbacks_are():
    late = np.random.default_rng(0).exponential(0.004, 100)
    late[17] = 0
    # what came at 100 was 10 ms old
    assert clock(late).frame_at(100.5) == pytest.approx(0.5 * RATE + BLOCK)


@pytest.mark.parametrize("nonsense", [0.0, -1.0, 5.0])
def test_a_driver_that_says_nonsense_about_its_blocks_is_not_believed(nonsense):
    assert clock([0], nonsense).frame_at(100) == pytest.approx(2 * BLOCK)


def test_lost_frames_make_it_late_and_are_forgotten_after_a_while():
    lost = 1000
    assert clock([0] * 50, lost_at=40, lost=lost).frame_at(100) == pytest.approx(BLOCK)
    assert clock([0] * (TICKS + 40), lost_at=40, lost=lost).frame_at(100) == pytest.approx(
        BLOCK - lost
    )
