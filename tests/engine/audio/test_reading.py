"""Regions are read to the frame."""

import numpy as np
import pytest

from engine.audio.reading import read_region, resample
from engine.errors import EngineError
from tests.engine.signals import noise, sine


def code_of(caught):
    return caught.value.code


def test_a_region_starts_at_the_nearest_frame_and_brings_its_context(write):
    path = write(np.arange(1000) / 1000, 1000 * 10, "ramp.wav")
    region = read_region(path, 0.02, 0.03, context_seconds=0.01)
    assert (region.start_frame, region.frames, region.lead_frames) == (200, 300, 100)
    assert region.region[0, 0] == pytest.approx(0.2) and region.samples[0, 0] == pytest.approx(0.1)


def test_context_ends_where_the_file_ends(write):
    region = read_region(write(noise(1000), 8000), 0.0, 0.05, context_seconds=10)
    assert region.lead_frames == 0 and len(region.samples) == 1000


def test_a_region_past_the_end_is_cut_with_a_note(write):
    region = read_region(write(noise(8000), 8000), 0.5, 2.0)
    assert region.frames == 4000 and "after the file" in region.notes[0]


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, 0), (0, -1), (float("nan"), 1)])
def test_regions_that_make_no_sense_are_bad_args(write, start, length):
    with pytest.raises(EngineError) as caught:
        read_region(write(noise(8000), 8000), start, length)
    assert code_of(caught) == "bad_args"


def test_a_region_after_the_end_is_too_short(write):
    with pytest.raises(EngineError) as caught:
        read_region(write(noise(8000), 8000), 1.0)
    assert code_of(caught) == "too_short"


def test_a_missing_file_and_a_text_file_are_told_apart(tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    for name, code in (("gone.wav", "no_file"), ("text.wav", "bad_audio"), (".", "no_file")):
        with pytest.raises(EngineError) as caught:
            read_region(tmp_path / name)
        assert code_of(caught) == code


def test_a_file_of_no_frames_is_too_short(write):
    with pytest.raises(EngineError) as caught:
        read_region(write(np.zeros(0), 8000))
    assert code_of(caught) == "too_short"


@pytest.mark.parametrize("rate_hz", (8_000, 11_025, 44_100, 48_000, 192_000))
def test_resampling_there_and_back_shifts_nothing(rate_hz):
    wave = sine(rate_hz, rate_hz, 440)
    back = resample(resample(wave, rate_hz, 32_000), 32_000, rate_hz)
    assert len(back) == rate_hz
    assert np.abs(back - wave)[rate_hz // 50 : -rate_hz // 50].max() < 1e-4
