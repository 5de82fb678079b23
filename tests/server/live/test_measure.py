import numpy as np
import pytest

from server.live.measure import SWEEP_PEAK, find, sweep

RATE = 48000


def play_and_record(delay, gain=1.0, noise=0.0, channels=2):
    played = sweep(RATE)
    out = (
        np.random.default_rng(1)
        .normal(0, noise or 1e-9, (len(played) + RATE, channels))
        .astype(np.float32)
    )
    out[delay : delay + len(played)] += gain * played[:, None]
    return played, out


@pytest.mark.parametrize("delay", [0, 1, 512, 14400, 47000])
@pytest.mark.parametrize("gain", [1.0, 0.05, -0.5])
def test_the_delay_is_found_to_the_sample(delay, gain):
    assert find(*play_and_record(delay, gain)) == delay


def test_the_delay_is_found_under_louder_noise():
    assert find(*play_and_record(3000, gain=0.2, noise=0.05)) == 3000


def test_the_delay_is_found_in_one_channel_of_two():
    played, out = play_and_record(700)
    out[:, 0] = 0
    assert find(played, out) == 700


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.5])
def test_a_sweep_that_is_not_there_is_not_found(noise):
    assert find(*play_and_record(100, gain=0.0, noise=noise)) is None


def test_silence_is_no_answer():
    played = sweep(RATE)
    assert find(played, np.zeros((RATE, 2), np.float32)) is None


def test_the_sweep_is_no_louder_than_it_says():
    assert np.abs(sweep(RATE)).max() <= SWEEP_PEAK
