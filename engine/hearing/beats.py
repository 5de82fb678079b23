"""When do the beats fall? Tempo, phase and drift from the onsets of a region.

    onset strength, 100 a second -> how well each period explains each 8 s
    -> one smooth course of the period
    -> beats by dynamic programming (Ellis 2007, "Beat Tracking by Dynamic Programming")
    -> one straight line where the music is steady, else a parabola through each beat's neighbours

The straight line matters: five seconds hold ten beats, and only together they tell the tempo within
1 BPM.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.hearing.tempo import FRAMES_PER_SECOND

SLOWEST_BPM, FASTEST_BPM, LIKELY_BPM = 50.0, 200.0, 110.0
LIKELY_OCTAVES = 0.6  # how far a tempo may lie from LIKELY_BPM before it needs good reasons
PRIOR_WEIGHT = 0.25
DEFAULT_BPM = 100.0
PERIODS = 60 / np.geomspace(FASTEST_BPM, SLOWEST_BPM, 140)  # seconds, 1 % apart
# a beat repeats itself over two, three and four
MULTIPLES = ((1, 1.0), (2, 0.8), (3, 0.4), (4, 0.6))
WINDOW_SECONDS, WINDOW_STEP_SECONDS = 8.0, 2.0
DRIFT_COST = 400.0  # of the squared change of the logarithm of the period from window to window
SMOOTH_SECONDS = 0.02  # players miss a beat by about that much
TIGHTNESS = 150.0
MIN_SECONDS = 1.2  # shorter regions hold no two beats to measure
MIN_PERIODICITY = 0.08
MIN_STRENGTH = 0.2  # of the strongest onset; a note that only sounds on stays far below
ONSET_LAG_SECONDS = 0.01  # onset strength peaks that long after a note begins
SNAP_SECONDS = 0.045
STEADY_SECONDS, STEADY_SHARE = 0.02, 0.8  # so near to the line must so many beats be
LOCAL_BEATS = 6


class Beats(NamedTuple):
    seconds: np.ndarray  # ascending, from at or before 0 to at or after the region's end
    confidence: float  # 0..1
    scores: np.ndarray = np.zeros(len(PERIODS))  # how well each of PERIODS explains the music


def find_beats(strength: np.ndarray, seconds: float, tempo_bpm: float = 0.0) -> Beats:
    """The beats of a region of `seconds` with onset `strength` [100 a second].

    `tempo_bpm`: if it is known; 0: not.
    """
    smooth = _smooth(strength)
    if tempo_bpm > 0:
        return Beats(
            covering(np.array([_phase(smooth, 60 / tempo_bpm)]), 60 / tempo_bpm, seconds), 1.0
        )
    if seconds < MIN_SECONDS or strength.max(initial=0.0) < MIN_STRENGTH:
        return Beats(default_beats(seconds, _first_onset(strength)), 0.0)
    periods, confidence, scores = _course_of_period(smooth)
    if confidence < MIN_PERIODICITY:
        return Beats(default_beats(seconds, _first_onset(strength)), 0.0)
    times = _track(smooth / smooth.std(), periods) / FRAMES_PER_SECOND
    if len(times) < 3:
        period = float(periods.mean()) / FRAMES_PER_SECOND
        return Beats(covering(times[:1] - ONSET_LAG_SECONDS, period, seconds), confidence, scores)
    local = _local(smooth, times)
    start, period = _line(smooth, times)
    if _on_line(local, start, period) >= STEADY_SHARE:
        local = np.array([start])
    else:
        period = float(np.median(np.diff(local)))
    return Beats(covering(local - ONSET_LAG_SECONDS, period, seconds), confidence, scores)


def default_beats(seconds: float, start: float = 0.0) -> np.ndarray:
    """Beats where none are heard: DEFAULT_BPM, one of them at `start` seconds."""
    return covering(np.array([start]), 60 / DEFAULT_BPM, seconds)


def _phase(smooth: np.ndarray, period: float) -> float:
    """Seconds of the first beat of those even rows that meets most onset strength."""
    starts = np.arange(0, period, 0.5 / FRAMES_PER_SECOND)
    rows = starts[:, None] + period * np.arange(
        max(1, int(len(smooth) / FRAMES_PER_SECOND / period))
    )
    met = (
        np.interp(rows * FRAMES_PER_SECOND, np.arange(len(smooth)), smooth, right=0)
        if len(smooth)
        else rows * 0
    )
    return max(0.0, float(starts[met.sum(axis=1).argmax()]) - ONSET_LAG_SECONDS)


def _smooth(strength: np.ndarray) -> np.ndarray:
    reach = np.arange(-8, 9) / FRAMES_PER_SECOND
    bell = np.exp(-0.5 * (reach / SMOOTH_SECONDS) ** 2)
    return (
        np.convolve(strength, bell / bell.sum(), "same")
        if len(strength) >= len(bell)
        else np.zeros(len(strength))
    )


def _first_onset(smooth: np.ndarray) -> float:
    """Seconds of the strongest moment of the first beat's length: a default grid begins there."""
    first = smooth[: round(60 / DEFAULT_BPM * FRAMES_PER_SECOND)]
    return (
        max(0.0, int(first.argmax()) / FRAMES_PER_SECOND - ONSET_LAG_SECONDS)
        if first.any()
        else 0.0
    )


def _course_of_period(smooth: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """How the beat's period runs on: (frames to the next beat, periodicity, score of PERIODS).

    The first is [frames], the second 0..1, the third [PERIODS], a mean over the windows.
    """
    size, step = (
        round(WINDOW_SECONDS * FRAMES_PER_SECOND),
        round(WINDOW_STEP_SECONDS * FRAMES_PER_SECOND),
    )
    size = min(size, len(smooth))
    starts = np.arange(0, max(1, len(smooth) - size + 1), step)
    windows = np.stack([smooth[start : start + size] for start in starts])
    likeness = _likeness(windows)
    scores = _period_scores(likeness)
    octaves = np.log2(60 / PERIODS / LIKELY_BPM)
    preferred = scores - 0.5 * (octaves / LIKELY_OCTAVES) ** 2 * PRIOR_WEIGHT
    change = DRIFT_COST * np.subtract.outer(np.log(PERIODS), np.log(PERIODS)) ** 2
    path = viterbi(preferred, np.zeros(len(PERIODS)), -change)
    centres = starts + size / 2
    course = np.interp(np.arange(len(smooth)), centres, PERIODS[path]) * FRAMES_PER_SECOND
    return (
        course,
        float(np.clip(scores[np.arange(len(path)), path].mean(), 0, 1)),
        scores.mean(axis=0),
    )


def _likeness(windows: np.ndarray) -> np.ndarray:
    """Autocorrelation of each window, 1 at lag 0, each lag divided by its overlap."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    size = centred.shape[1]
    power = np.abs(np.fft.rfft(centred, 2 * size, axis=1)) ** 2
    likeness = np.fft.irfft(power, 2 * size, axis=1)[:, :size]
    overlap = 1 - np.arange(size) / size
    return likeness / np.maximum(likeness[:, :1], 1e-12) / np.maximum(overlap, 0.25)


def _period_scores(likeness: np.ndarray) -> np.ndarray:
    """Mean likeness over the multiples of each period that fit: [windows, periods]."""
    lags = np.arange(likeness.shape[1])
    total, weights = np.zeros((len(likeness), len(PERIODS))), np.zeros(len(PERIODS))
    for multiple, weight in MULTIPLES:
        places = PERIODS * multiple * FRAMES_PER_SECOND
        fits = places < 0.75 * likeness.shape[1]
        total += weight * fits * np.stack([np.interp(places, lags, row) for row in likeness])
        weights += weight * fits
    return total / np.maximum(weights, 0.5)


def viterbi(emission: np.ndarray, start: np.ndarray, transition: np.ndarray) -> np.ndarray:
    """The best path [T] through scores [T, S].

    `transition` [S, S] or [T, S, S], from -> to, is added on entering t.
    """
    moves = np.broadcast_to(transition, (len(emission), *transition.shape[-2:]))
    score, back = emission[0] + start, np.zeros(emission.shape, int)
    for index in range(1, len(emission)):
        ways = score[:, None] + moves[index]
        back[index] = ways.argmax(axis=0)
        score = ways.max(axis=0) + emission[index]
    path = np.empty(len(emission), int)
    path[-1] = score.argmax()
    for index in range(len(emission) - 1, 0, -1):
        path[index - 1] = back[index, path[index]]
    return path


def _track(strength: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """Frames of the beats.

    The beat before lies at least half a period back, so a block of that length is done at once.
    """
    count, block = len(strength), max(1, int(periods.min() / 2))
    score, back = strength.copy(), np.full(count, -1)
    for first in range(0, count, block):
        frames = np.arange(first, min(count, first + block))
        period = periods[first]
        steps = np.arange(round(period / 2) or 1, round(period * 2) + 1)
        cost = TIGHTNESS * np.log(steps / period) ** 2
        before = frames[:, None] - steps[None, :]
        ways = np.where(before >= 0, score[np.maximum(before, 0)], -np.inf) - cost
        best = ways.argmax(axis=1)
        value = ways[np.arange(len(frames)), best]
        linked = value > 0
        score[frames] += np.where(linked, value, 0)
        back[frames] = np.where(linked, before[np.arange(len(frames)), best], -1)
    tail = max(0, count - round(periods[-1]))
    beats = [tail + int(score[tail:].argmax())]
    while back[beats[-1]] >= 0:
        beats.append(int(back[beats[-1]]))
    return np.array(beats[::-1])


def _line(smooth: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """First beat and period, in seconds, of the straight line that suits the onsets best."""
    start, period = _strongest_comb(smooth, float(np.median(np.diff(times))))
    for reach in (SNAP_SECONDS, SNAP_SECONDS / 2):
        start, period = _refit(smooth, start, period, reach)
    return start, period


def _on_line(times: np.ndarray, start: float, period: float) -> float:
    """The share of the beats that lie on a line."""
    away = np.abs((times - start + period / 2) % period - period / 2)
    return float((away < STEADY_SECONDS).mean())


def _strongest_comb(smooth: np.ndarray, near: float) -> tuple[float, float]:
    """Start and period of the even comb that meets most onset strength, within 4 % of `near`."""
    count = len(smooth)
    size = 2 ** int(np.ceil(np.log2(8 * count)))
    spectrum = np.fft.rfft(smooth - smooth.mean(), size)
    hertz = np.fft.rfftfreq(size, 1 / FRAMES_PER_SECOND)
    inside = np.flatnonzero((hertz > 0.96 / near) & (hertz < 1.04 / near))
    best, found = -np.inf, (0.0, near)
    phases = np.arange(64) / 64
    waves = np.exp(2j * np.pi * np.outer(phases, (1, 2, 3, 4)))
    for index in inside:
        teeth = np.array([spectrum[min(len(spectrum) - 1, index * k)] for k in (1, 2, 3, 4)])
        values = (waves * teeth).real.sum(axis=1)
        place = int(values.argmax())
        if values[place] > best:
            best, found = (
                values[place],
                (float(phases[place] / hertz[index]), float(1 / hertz[index])),
            )
    return found


def _refit(smooth: np.ndarray, start: float, period: float, reach: float) -> tuple[float, float]:
    """The line again, through the strongest moment within `reach` of each of its beats."""
    span = len(smooth) / FRAMES_PER_SECOND
    index = np.arange(
        np.ceil((reach - start) / period), np.floor((span - reach - 0.02 - start) / period) + 1
    )
    if len(index) < 3:
        return start, period
    offsets = np.arange(-round(reach * FRAMES_PER_SECOND), round(reach * FRAMES_PER_SECOND) + 1)
    frames = np.round((start + index * period) * FRAMES_PER_SECOND).astype(int)[:, None] + offsets
    frames = frames.clip(1, len(smooth) - 2)
    around = smooth[frames]
    best = frames[np.arange(len(frames)), around.argmax(axis=1)]
    times, weights = _summits(smooth, best) / FRAMES_PER_SECOND, around.max(axis=1)
    if weights.sum() <= 0:
        return start, period
    mean_index, mean_time = np.average(index, weights=weights), np.average(times, weights=weights)
    spread = np.average((index - mean_index) ** 2, weights=weights)
    slope = np.average((index - mean_index) * (times - mean_time), weights=weights) / max(
        spread, 1e-9
    )
    if abs(slope / period - 1) > 0.05:
        return start, period
    return float(mean_time - slope * mean_index), float(slope)


def _summits(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Places of the maxima between the frames, by a parabola through three."""
    before, here, after = values[index - 1], values[index], values[index + 1]
    curve = before - 2 * here + after
    return index + np.where(
        curve < 0, (before - after) / np.where(curve < 0, 2 * curve, 1), 0
    ).clip(-1, 1)


def _local(smooth: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Each beat on the weighted parabola through its neighbours, where the tempo grows or falls."""
    frames = np.round(times * FRAMES_PER_SECOND).astype(int).clip(1, len(smooth) - 2)
    times, weights = (
        _summits(smooth, frames) / FRAMES_PER_SECOND,
        smooth[frames] + 0.1 * smooth.mean(),
    )
    local = np.empty(len(times))
    for index in range(len(times)):
        near = np.arange(max(0, index - LOCAL_BEATS), min(len(times), index + LOCAL_BEATS + 1))
        degree = min(2, len(near) - 1)
        local[index] = np.polyfit(near - index, times[near], degree, w=np.sqrt(weights[near]))[-1]
    return np.maximum.accumulate(local + np.arange(len(local)) * 1e-6)


def covering(times: np.ndarray, period: float, seconds: float) -> np.ndarray:
    """The beats continued at both ends with `period`, so that they cover 0 to `seconds`."""
    before = np.arange(np.ceil(max(0.0, times[0]) / period) + 1, 0, -1)
    after = np.arange(1, np.ceil(max(0.0, seconds - times[-1]) / period) + 2)
    whole = np.concatenate([times[0] - before * period, times, times[-1] + after * period])
    first = int(np.searchsorted(whole, 0.0, side="right")) - 1
    last = max(first + 1, int(np.searchsorted(whole, seconds, side="left")))
    return whole[first : last + 1]
