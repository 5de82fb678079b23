import numpy as np
import pytest

from engine.hearing.listen import hear

RATE_HZ = 32_000


def tone(pitch_midi: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    hertz = 440 * 2 ** ((pitch_midi - 69) / 12)
    partials = sum(0.6**k * np.sin(2 * np.pi * (k + 1) * hertz * time) for k in range(5))
    return 0.1 * np.exp(-3 * time) * partials


def render(notes, seconds: float) -> np.ndarray:
    """float32 [samples] of (start, length, pitch)."""
    sound = np.zeros(round(seconds * RATE_HZ) + 4 * RATE_HZ)
    for start, length, pitch in notes:
        part = tone(pitch, length)
        first = round(start * RATE_HZ)
        sound[first : first + len(part)] += part
    return sound[: round(seconds * RATE_HZ)].astype(np.float32)


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.3, 1.25, 4.0])
@pytest.mark.parametrize("kind", ["silence", "noise", "note"])
def test_every_region_has_a_grid_that_covers_it(seconds, kind):
    count = round(seconds * RATE_HZ)
    mono = {
        "silence": np.zeros(count),
        "noise": np.random.default_rng(0).normal(0, 0.1, count),
        "note": tone(60, seconds),
    }[kind].astype(np.float32)
    heard = hear(mono, RATE_HZ)
    grid = heard.grid
    assert grid.beats_seconds[0] <= 0 and grid.beats_seconds[-1] >= seconds
    assert (np.diff(grid.beats_seconds) > 0.2).all()
    assert grid.beats_per_bar in (3, 4)
    assert 0 <= heard.beat_confidence <= 1


def test_a_progression_in_time_is_heard_with_beats_bars_chords_and_key():
    beat = 60 / 96
    roots = [0, 9, 5, 7] * 2  # C Am F G
    shapes = {0: (0, 4, 7), 9: (0, 3, 7), 5: (0, 4, 7), 7: (0, 4, 7)}
    notes = []
    for bar, root in enumerate(roots):
        for quarter in range(4):
            start = 0.2 + (4 * bar + quarter) * beat
            notes += [(start, beat, 48 + root + step + 12) for step in shapes[root]]
        notes.append((0.2 + 4 * bar * beat, 2 * beat, 36 + root))
    seconds = 0.2 + 32 * beat
    grid = hear(render(notes, seconds), RATE_HZ).grid
    assert abs(grid.tempo_bpm - 96) < 1
    nearest = np.abs(grid.beats_seconds[:, None] - (0.2 + beat * np.arange(32))).min(axis=0)
    assert nearest.max() < 0.015
    assert grid.beats_per_bar == 4 and str(grid.key) == "C major"
    first = int(np.abs(grid.beats_seconds - 0.2).argmin())
    assert grid.place_in_bar(first) == 0
    assert [grid.chords[first + 4 * bar + 1].root for bar in range(8)] == roots


def test_a_waltz_has_three_beats():
    beat = 60 / 110
    notes = []
    for bar, root in enumerate([0, 5, 7, 0] * 2):
        start = 0.3 + 3 * bar * beat
        notes.append((start, beat, 36 + root))
        notes += [
            (start + k * beat, 0.5 * beat, 60 + root + step) for k in (1, 2) for step in (0, 4, 7)
        ]
    grid = hear(render(notes, 24 * beat), RATE_HZ).grid
    assert grid.beats_per_bar == 3
    assert grid.place_in_bar(int(np.abs(grid.beats_seconds - 0.3).argmin())) == 0


def test_beats_are_followed_where_the_tempo_grows():
    times = np.cumsum(60 / np.linspace(90, 130, 50))
    grid = hear(render([(time, 0.3, 60) for time in times], times[-1]), RATE_HZ).grid
    nearest = np.abs(grid.beats_seconds[:, None] - times[4:-4]).min(axis=0)
    assert np.median(nearest) < 0.015


def test_drums_have_beats_but_no_chords():
    random = np.random.default_rng(1)
    since_stroke = np.arange(5 * RATE_HZ) % (RATE_HZ // 2)
    mono = random.normal(0, 0.2, 5 * RATE_HZ) * np.exp(-since_stroke / 800)
    heard = hear(mono.astype(np.float32), RATE_HZ)
    assert abs(heard.grid.tempo_bpm - 120) < 1
    assert set(heard.grid.chords) == {None}


def test_a_pad_that_swells_has_its_chord():
    time = np.arange(10 * RATE_HZ) / RATE_HZ
    mono = sum(
        0.05 * np.sin(2 * np.pi * hertz * time) for hertz in (220.0, 277.2, 329.6)
    ) * np.minimum(1, time)
    heard = hear(mono.astype(np.float32), RATE_HZ)
    assert heard.grid.chords[3].pitch_classes == (9, 1, 4)


@pytest.mark.parametrize("tempo_bpm", [61.0, 97.5, 173.0])
def test_a_tempo_that_is_known_is_kept_and_only_its_beats_are_looked_for(tempo_bpm):
    period = 60 / tempo_bpm
    mono = render(
        [(0.2 + beat * period, 0.3, 60 + beat % 5) for beat in range(int(5 / period))], 6.0
    )
    grid = hear(mono, RATE_HZ, tempo_bpm).grid
    assert grid.tempo_bpm == pytest.approx(tempo_bpm)
    assert np.abs(grid.beats_seconds - 0.2).min() < 0.02
