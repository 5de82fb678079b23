"""How like are two sounds? Each function's docstring is the definition and source of its figure."""

from __future__ import annotations

import numpy as np

from evaluation.metrics.sound import Sound

ONSET_WINDOW_SECONDS = 0.05  # either way, as in mir_eval.onset
BEAT_WINDOW_SECONDS = 0.07  # either way, as in mir_eval.beat
PITCH_TOLERANCE_CENTS = 50.0  # either way, as in mir_eval.melody


def chroma_similarity(sound: Sound, reference: Sound) -> float:
    """Mean over frames of the cosine between CQT chroma; 1 = the same notes at the same times.

    librosa.feature.chroma_cqt (36 bins an octave from C1, 7 octaves, max norm), 22 050 Hz, hop 512,
    equal length. Frames silent in both do not count; silent in one alone count 0. Chroma are never
    negative, so unrelated music scores about 0.5, not 0.
    """
    a, b = _same_length(sound.chroma, reference.chroma)
    norm_a, norm_b = np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0)
    heard = (norm_a > 0) | (norm_b > 0)
    if not heard.any():
        return 1.0
    cosine = (a * b).sum(axis=0) / np.maximum(norm_a * norm_b, 1e-12)
    return float(cosine[heard].mean())


def mean_chroma_similarity(sound: Sound, reference: Sound) -> float:
    """Cosine between the two chroma vectors averaged over time: which notes, not when.

    MuseCPEval (arXiv 2512.14629), on the chroma of `chroma_similarity`. Order does not matter: a
    tune played backwards scores 1. Unrelated music scores high, too.
    """
    a, b = sound.chroma.mean(axis=1), reference.chroma.mean(axis=1)
    norms = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not any(norms):
        return 1.0
    return float(a @ b / (norms[0] * norms[1])) if all(norms) else 0.0


def onset_f(sound: Sound, reference: Sound) -> float:
    """F-measure of note onsets within 50 ms, each matched once (mir_eval.onset.f_measure).

    Onsets by librosa.onset.onset_detect. Two sounds without any onset agree: 1, where mir_eval says
    0.
    """
    import mir_eval

    found, expected = sound.onsets_seconds, reference.onsets_seconds
    if not len(found) and not len(expected):
        return 1.0
    if not len(found) or not len(expected):
        return 0.0
    return float(mir_eval.onset.f_measure(expected, found, window=ONSET_WINDOW_SECONDS)[0])


def beat_f(sound: Sound, reference: Sound) -> float:
    """F-measure of beats within 70 ms, each matched once, from the first beat on.

    mir_eval.beat.f_measure on librosa.beat.beat_track. mir_eval usually skips the first 5 s;
    regions are too short for that. Two sounds without any beat agree: 1.
    """
    import mir_eval

    found, expected = sound.beats_seconds, reference.beats_seconds
    if not len(found) and not len(expected):
        return 1.0
    if not len(found) or not len(expected):
        return 0.0
    return float(mir_eval.beat.f_measure(expected, found, f_measure_threshold=BEAT_WINDOW_SECONDS))


def key_distance(sound: Sound, reference: Sound) -> float:
    """Steps between two keys round the circle of fifths, 0 to 6; nan if one has no pitch.

    MuseCPEval. A minor key stands where its relative major does: C major and A minor are 0 apart,
    C major and C minor 3.
    """
    if sound.key is None or reference.key is None:
        return float("nan")
    steps = (_fifths(*sound.key) - _fifths(*reference.key)) % 12
    return float(min(steps, 12 - steps))


def feature_distance(sound: Sound, reference: Sound) -> float:
    """Audio Feature Distance: 1 - cosine between feature vectors, 0 to 2 (the paper says no more).

    Ours: the mean over the four families of `Sound.features`, each as the vector of its means and
    deviations over time, so that no unit (Hz, dB) outweighs another family. nan for silence.
    """
    if not (np.any(sound.samples) and np.any(reference.samples)):
        return float("nan")
    pairs = zip(sound.features.values(), reference.features.values(), strict=True)
    return float(np.mean([1 - _cosine(_moments(a), _moments(b)) for a, b in pairs]))


def spectral_distance(sound: Sound, reference: Sound) -> float:
    """Mean squared difference of log-mel spectrograms, in squared nepers.

    The mel of `log_mel_distance`.
    """
    a, b = _same_length(sound.log_mel, reference.log_mel)
    return float(np.square(a - b).mean())


def log_mel_distance(sound: Sound, reference: Sound) -> float:
    """Mean absolute difference of log-mel spectrograms (natural log; 1.0 = a factor of e = 8.7 dB).

    AudioLDM2's log-mel (see `evaluation.metrics.mel`) of both sounds at -20 dBFS RMS.
    """
    a, b = _same_length(sound.log_mel, reference.log_mel)
    return float(np.abs(a - b).mean())


def raw_chroma_accuracy(sound: Sound, reference: Sound) -> float:
    """Share of the reference's voiced frames whose pitch class is kept within 50 cents.

    mir_eval.melody.raw_chroma_accuracy on librosa.pyin: octave errors are forgiven, and so are
    frames that pyin calls unvoiced in `sound` if its guess is right. nan if nothing in the
    reference is voiced.
    """
    (hz, _), (expected_hz, voiced) = sound.pitch, reference.pitch
    length = min(len(hz), len(expected_hz))
    counted = voiced[:length] & np.isfinite(hz[:length])
    voiced_frames = int(voiced[:length].sum())
    if not voiced_frames:
        return float("nan")
    cents = 1200 * np.log2(hz[:length][counted] / expected_hz[:length][counted])
    folded = np.abs(cents - 1200 * np.round(cents / 1200))
    return float((folded <= PITCH_TOLERANCE_CENTS).sum() / voiced_frames)


def tempo_delta_bpm(sound: Sound, reference: Sound) -> float:
    """min(|a - b|, |a - 2 b|, |a - b / 2|) of librosa's tempo estimates; nan for silence.

    Folded because estimators double and halve (as in MuseCPEval, arXiv 2512.14629).
    """
    a, b = sound.tempo_bpm, reference.tempo_bpm
    return float(min(abs(a - b), abs(a - 2 * b), abs(a - b / 2)))


def _fifths(tonic: int, is_minor: bool) -> int:
    """Place on the circle of fifths, C major = 0."""
    return (tonic + 3 * is_minor) * 7 % 12


def _moments(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([frames.mean(axis=1), frames.std(axis=1)])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))


def _same_length(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    length = min(a.shape[-1], b.shape[-1])
    return a[..., :length], b[..., :length]
