"""Small figures about two sounds. Each function states its definition and where it comes from.

A `Sound` computes each analysis once and keeps it: chroma and pitch tracking are slow (about 0.1
and 1 second for 5 seconds of audio), and one source is compared with many stems.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

ANALYSIS_RATE_HZ = 22_050  # librosa's default; chroma, onsets, tempo and pitch are defined at it
HOP = 512  # 23.2 ms at the analysis rate
ONSET_WINDOW_SECONDS = 0.05  # either way, as in mir_eval.onset
BEAT_WINDOW_SECONDS = 0.07  # either way, as in mir_eval.beat
PITCH_TOLERANCE_CENTS = 50.0  # either way, as in mir_eval.melody
LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ = 65.406, 2093.0  # C2 to C7

# How well each pitch class fits a key, from its tonic up (Krumhansl and Kessler 1982).
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

# The log-mel of AudioLDM2 (TacotronSTFT of its training code).
MEL_RATE_HZ, MEL_N_FFT, MEL_HOP, MEL_BANDS = 16_000, 1024, 160, 64
MEL_FLOOR = 1e-5
MEL_LEVEL_RMS = 0.1  # both sounds are brought to -20 dBFS first: loudness is not timbre


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono float samples [N] and what can be heard in them, each computed on first use."""

    samples: np.ndarray
    rate_hz: int

    def at(self, rate_hz: int) -> np.ndarray:
        """The samples at another rate."""
        if rate_hz == self.rate_hz:
            return np.asarray(self.samples, np.float32)
        import soxr

        return soxr.resample(np.asarray(self.samples, np.float32), self.rate_hz, rate_hz)

    @cached_property
    def chroma(self) -> np.ndarray:
        """CQT chroma [12, frames of 512 samples at 22 050 Hz], librosa.feature.chroma_cqt's
        defaults.
        """
        import librosa

        return librosa.feature.chroma_cqt(
            y=self.at(ANALYSIS_RATE_HZ), sr=ANALYSIS_RATE_HZ, hop_length=HOP
        )

    @cached_property
    def onset_strength(self) -> np.ndarray:
        """librosa.onset.onset_strength's defaults, hop 512."""
        import librosa

        return librosa.onset.onset_strength(
            y=self.at(ANALYSIS_RATE_HZ), sr=ANALYSIS_RATE_HZ, hop_length=HOP
        )

    @cached_property
    def onsets_seconds(self) -> np.ndarray:
        """Starts of notes, librosa.onset.onset_detect's defaults."""
        import librosa

        if not np.any(self.samples):
            return np.zeros(0)
        return librosa.onset.onset_detect(
            onset_envelope=self.onset_strength, sr=ANALYSIS_RATE_HZ, hop_length=HOP, units="time"
        )

    @cached_property
    def tempo_bpm(self) -> float:
        """librosa.feature.tempo's defaults (prior around 120 BPM); nan for silence."""
        import librosa

        if not np.any(self.samples):
            return float("nan")
        return float(
            librosa.feature.tempo(
                onset_envelope=self.onset_strength, sr=ANALYSIS_RATE_HZ, hop_length=HOP
            )[0]
        )

    @cached_property
    def beats_seconds(self) -> np.ndarray:
        """Beats, librosa.beat.beat_track's defaults."""
        import librosa

        if not np.any(self.samples):
            return np.zeros(0)
        return librosa.beat.beat_track(
            onset_envelope=self.onset_strength, sr=ANALYSIS_RATE_HZ, hop_length=HOP, units="time"
        )[1]

    @cached_property
    def key(self) -> tuple[int, bool] | None:
        """(tonic's pitch class, minor?): the Krumhansl profile that the mean chroma resembles most;
        None: no pitch.
        """
        mean = self.chroma.mean(axis=1)
        if np.ptp(mean) < 1e-6:
            return None
        fits = [
            np.corrcoef(mean, np.roll(profile, tonic))[0, 1]
            for profile in (MAJOR_PROFILE, MINOR_PROFILE)
            for tonic in range(12)
        ]
        return int(np.argmax(fits)) % 12, int(np.argmax(fits)) >= 12

    @cached_property
    def key_name(self) -> str:
        """For people: "A minor"."""
        return (
            f"{PITCH_CLASSES[self.key[0]]} {'minor' if self.key[1] else 'major'}"
            if self.key
            else "no key"
        )

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """Frames of seed 1's four families, [values, frames]: librosa's defaults at 22 050 Hz, hop
        512.

        mfcc 2 to 13 (the first is loudness), chroma, spectral (centroid, bandwidth, rolloff in Hz),
        zero_crossing rate.
        """
        import librosa

        samples = self.at(ANALYSIS_RATE_HZ)
        magnitude = np.abs(librosa.stft(samples, hop_length=HOP))
        spectral = (
            librosa.feature.spectral_centroid,
            librosa.feature.spectral_bandwidth,
            librosa.feature.spectral_rolloff,
        )
        return {
            "mfcc": librosa.feature.mfcc(y=samples, sr=ANALYSIS_RATE_HZ, n_mfcc=13, hop_length=HOP)[
                1:
            ],
            "chroma": self.chroma,
            "spectral": np.concatenate([of(S=magnitude, sr=ANALYSIS_RATE_HZ) for of in spectral]),
            "zero_crossing": librosa.feature.zero_crossing_rate(samples, hop_length=HOP),
        }

    @cached_property
    def pitch(self) -> tuple[np.ndarray, np.ndarray]:
        """(Hz, voiced?) by frame of 512 samples: librosa.pyin, C2 to C7, a guess in unvoiced frames
        too.
        """
        import librosa

        hz, voiced, _ = librosa.pyin(
            self.at(ANALYSIS_RATE_HZ),
            fmin=LOWEST_PITCH_HZ,
            fmax=HIGHEST_PITCH_HZ,
            sr=ANALYSIS_RATE_HZ,
            hop_length=HOP,
            fill_na=None,
        )
        return hz, voiced

    @cached_property
    def log_mel(self) -> np.ndarray:
        """`log_mel` of the samples at -20 dBFS."""
        return log_mel(at_level(self.at(MEL_RATE_HZ)))


def chroma_similarity(sound: Sound, reference: Sound) -> float:
    """Mean over frames of the cosine between CQT chroma vectors; 1 = the same notes at the same
    times.

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
    """Cosine between the two chroma vectors averaged over time; which notes, not when (MuseCPEval,
    arXiv 2512.14629).

    The chroma of `chroma_similarity`. Blind to order: a tune played backwards scores 1. Unrelated
    music easily reaches 0.8, so this figure is always the higher of the two.
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
    """F-measure of beats within 70 ms, each matched once (mir_eval.beat.f_measure), from the first
    beat on.

    Beats by librosa.beat.beat_track. mir_eval's usual cut of the first 5 s is left out: regions are
    short. Two sounds without any beat agree: 1.
    """
    import mir_eval

    found, expected = sound.beats_seconds, reference.beats_seconds
    if not len(found) and not len(expected):
        return 1.0
    if not len(found) or not len(expected):
        return 0.0
    return float(mir_eval.beat.f_measure(expected, found, f_measure_threshold=BEAT_WINDOW_SECONDS))


def key_distance(sound: Sound, reference: Sound) -> float:
    """Steps between two keys round the circle of fifths, 0 to 6; nan if one has no pitch
    (MuseCPEval).

    A minor key stands where its relative major does: C major and A minor are 0 apart, C major and C
    minor 3.
    """
    if sound.key is None or reference.key is None:
        return float("nan")
    steps = (_fifths(*sound.key) - _fifths(*reference.key)) % 12
    return float(min(steps, 12 - steps))


def feature_distance(sound: Sound, reference: Sound) -> float:
    """Audio Feature Distance: 1 - cosine between feature vectors, 0 to 2 (seed 3 says no more).

    Ours: the mean over the four families of `Sound.features`, each as the vector of its means and
    deviations over time, so that no unit (Hz, dB) outweighs another family. nan for silence.
    """
    if not (np.any(sound.samples) and np.any(reference.samples)):
        return float("nan")
    pairs = zip(sound.features.values(), reference.features.values(), strict=True)
    return float(np.mean([1 - _cosine(_moments(a), _moments(b)) for a, b in pairs]))


def spectral_distance(sound: Sound, reference: Sound) -> float:
    """Mean squared difference of log-mel spectrograms (seed 3); the mel of `log_mel_distance`, in
    squared nepers.
    """
    a, b = _same_length(sound.log_mel, reference.log_mel)
    return float(np.square(a - b).mean())


def log_mel_distance(sound: Sound, reference: Sound) -> float:
    """Mean absolute difference of log-mel spectrograms (natural log; 1.0 = a factor of e = 8.7 dB).

    AudioLDM2's log-mel, see `log_mel`, after both sounds are brought to -20 dBFS RMS.
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


def log_mel(samples_16k: np.ndarray) -> np.ndarray:
    """AudioLDM2's log-mel, [64, 1 + N // 160]: log(max(mel @ |STFT|, 1e-5)), natural log.

    16 kHz, n_fft 1024, hop 160, Hann, centred with reflection; 64 Slaney bands, 0 to 8 kHz, area
    norm; magnitude, not power.
    """
    half = MEL_N_FFT // 2
    padded = np.pad(samples_16k, half, mode="reflect" if len(samples_16k) > half else "symmetric")
    frames = np.lib.stride_tricks.sliding_window_view(padded, MEL_N_FFT)[::MEL_HOP]
    magnitude = np.abs(np.fft.rfft(frames * _hann(), axis=1)).astype(np.float32)
    return np.log(np.maximum(_mel_filters() @ magnitude.T, MEL_FLOOR))


def at_level(samples: np.ndarray) -> np.ndarray:
    """Brought to -20 dBFS RMS; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    return (
        (samples * (MEL_LEVEL_RMS / rms)).astype(np.float32)
        if rms > 1e-7
        else np.asarray(samples, np.float32)
    )


def _fifths(tonic: int, is_minor: bool) -> int:
    """Place on the circle of fifths, C major = 0."""
    return (tonic + 3 * is_minor) * 7 % 12


def _moments(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([frames.mean(axis=1), frames.std(axis=1)])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    import librosa

    return librosa.filters.mel(sr=MEL_RATE_HZ, n_fft=MEL_N_FFT, n_mels=MEL_BANDS, fmin=0, fmax=8000)


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(MEL_N_FFT) / MEL_N_FFT)).astype(np.float32)


def _same_length(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    length = min(a.shape[-1], b.shape[-1])
    return a[..., :length], b[..., :length]
