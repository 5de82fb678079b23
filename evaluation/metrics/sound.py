"""What can be heard in a sound? Chroma, onsets, beats, key, pitch, and more, by librosa."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.metrics.mel import MEL_RATE_HZ, log_mel, set_level

ANALYSIS_RATE_HZ = 22_050  # librosa's default; chroma, onsets, tempo and pitch are defined at it
HOP = 512  # 23.2 ms at the analysis rate
LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ = 65.406, 2093.0  # C2 to C7

# How well each pitch class fits a key, from its tonic up (Krumhansl and Kessler 1982).
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono float samples [N] and the analyses of them, each computed on first use and kept.

    Chroma and pitch tracking are slow, and one source is compared with many stems.
    """

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
        """CQT chroma [12, frames of 512 samples at 22 050 Hz]: librosa.feature.chroma_cqt."""
        import librosa

        return librosa.feature.chroma_cqt(
            y=self.at(ANALYSIS_RATE_HZ), sr=ANALYSIS_RATE_HZ, hop_length=HOP
        )

    @cached_property
    def onset_strength(self) -> np.ndarray:
        """librosa.onset.onset_strength's defaults, hop 512."""
        from librosa.onset import onset_strength

        return onset_strength(y=self.at(ANALYSIS_RATE_HZ), sr=ANALYSIS_RATE_HZ, hop_length=HOP)

    @cached_property
    def onsets_seconds(self) -> np.ndarray:
        """Starts of notes, librosa.onset.onset_detect's defaults."""
        from librosa.onset import onset_detect

        if not np.any(self.samples):
            return np.zeros(0)
        return onset_detect(
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
        from librosa.beat import beat_track

        if not np.any(self.samples):
            return np.zeros(0)
        return beat_track(
            onset_envelope=self.onset_strength, sr=ANALYSIS_RATE_HZ, hop_length=HOP, units="time"
        )[1]

    @cached_property
    def key(self) -> tuple[int, bool] | None:
        """(tonic's pitch class, minor?) by the Krumhansl profiles; None where there is no pitch."""
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
        if self.key is None:
            return "no key"
        tonic, is_minor = self.key
        return f"{PITCH_CLASSES[tonic]} {'minor' if is_minor else 'major'}"

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """Frames of four families of features, [values, frames], by librosa's defaults.

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
        """(Hz, voiced?) by frame of 512 samples: librosa.pyin, with a guess in unvoiced frames."""
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
        return log_mel(set_level(self.at(MEL_RATE_HZ)))
