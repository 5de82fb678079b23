"""The command as a user runs it, on a codec that loses nothing."""

import numpy as np
import pytest

from evaluation.exams import codec
from evaluation.metrics.sound import Sound
from evaluation.metrics.spectra import high_band_db

RATE_HZ = 32_000


def clicks(rise_seconds: float) -> Sound:
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    since = time % 0.5
    level = np.minimum(since / rise_seconds, 1) * np.exp(-8 * since)
    noise = np.random.default_rng(0).standard_normal(len(time))
    return Sound((0.3 * level * noise).astype(np.float32), RATE_HZ)


def test_what_is_cut_away_above_8_khz_is_missed():
    sound = clicks(0.001)
    assert high_band_db(codec.cut_highs(sound), sound) < -20
    assert high_band_db(sound, sound) == pytest.approx(0.0)


def test_the_command_writes_tables_and_picture(tmp_path, echo, pair_renderer):
    page = tmp_path / "codec.md"
    page.write_text(
        "before\n<!-- codec -->\nold\n<!-- /codec -->\n<!-- held -->\n\n<!-- /held -->\nafter\n"
    )
    assert codec.main(["--count", "1", "--page", str(page)], model=echo) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "drum loops, unseen soundfont (1) | the codec | 0.000 ± 0.000" in text
    original, copy = text.split("| all | ")[1].split(" |")[0:2]
    assert float(original) == float(copy) < 0
    assert (tmp_path / "pictures" / "codec.png").exists()
