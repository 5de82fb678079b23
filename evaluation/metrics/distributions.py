"""Figures about two sets of sounds: how far apart do their features lie? Arrays in, numbers out;
numpy alone.

A set is rows [N, D] of embeddings, or frames [values, N] of features. None of these figures means
anything without N and without the name of the embedding and of the reference set: whoever prints
one prints these too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

EXTRAPOLATION_POINTS = 15  # as in Chong and Forsyth
FEWEST_ROWS = 20  # below, half of the rows says nothing about a covariance
HISTOGRAM_BINS = 64
PSEUDO_COUNT = 0.5  # in every bin (Jeffreys): an empty bin is rare, not impossible


Features = Mapping[str, np.ndarray]  # family -> [values, frames], one sound's `Sound.features`


class Extrapolated(NamedTuple):
    """`value` at infinitely many rows; `fit` is R² of the line, near 1 when the extrapolation may
    be trusted.
    """

    value: float
    fit: float


def frechet_distance(rows: np.ndarray, reference: np.ndarray) -> float:
    """|μa - μb|² + tr(Σa + Σb - 2 (Σa Σb)^½) of two sets [N, D] (Kilgour et al.

    2019, arXiv 1812.08466).

    The trace of the root is the sum of the roots of the eigenvalues of √Σa Σb √Σa: symmetric, so
    real, also where N is below D, where sqrtm of the plain product needs an epsilon. With N below D
    the value is mostly bias: read `frechet_infinity`.
    """
    a, b = _rows(rows), _rows(reference)
    root = _root(_covariance(a))
    shared = np.linalg.eigvalsh(root @ _covariance(b) @ root)
    traces = (
        np.trace(_covariance(a))
        + np.trace(_covariance(b))
        - 2 * np.sqrt(np.maximum(shared, 0)).sum()
    )
    return float(max(0.0, np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + traces))


def frechet_infinity(rows: np.ndarray, reference: np.ndarray, seed: int = 0) -> Extrapolated:
    """The Fréchet distance of 15 sizes of random subsets, as a line in 1/N, read at 1/N = 0.

    Chong and Forsyth 2020 (arXiv 1911.07023), for audio Gui et al. 2024 (arXiv 2311.01616). Removes
    the bias of the judged set's size, not that of the reference set's. nan below 20 rows.
    """
    count = len(_rows(rows))
    if count < FEWEST_ROWS:
        return Extrapolated(float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    sizes = np.unique(np.linspace(count // 2, count, EXTRAPOLATION_POINTS).astype(int))
    values = [
        frechet_distance(rows[random.choice(count, size, replace=False)], reference)
        for size in sizes
    ]
    return extrapolate(sizes, values)


def extrapolate(sizes: Sequence[int], values: Sequence[float]) -> Extrapolated:
    """The line values = slope / size + value, by least squares."""
    values = np.asarray(values, float)
    slope, value = np.polyfit(1 / np.asarray(sizes, float), values, 1)
    residue = values - (slope / np.asarray(sizes, float) + value)
    spread = float(np.square(values - values.mean()).sum())
    return Extrapolated(
        float(value), 1 - float(np.square(residue).sum()) / spread if spread else 1.0
    )


def feature_divergences(
    sounds: Sequence[Features], reference: Sequence[Features]
) -> Mapping[str, float]:
    """KL(reference ‖ sounds) in nats of each family of `Sound.features`: mfcc, chroma, spectral,
    zero_crossing.

    Seed 1 names the families and compares average distributions; it gives neither bins nor
    normalisation. Ours: chroma is a distribution over the twelve pitch classes (its mean); every
    other value is a histogram of 64 bins between the reference's own extremes, what lies outside in
    the outermost, half a count added to each bin; a family is the mean of its values. Values of
    other tools are not comparable.
    """
    ours, theirs = _pooled(sounds), _pooled(reference)
    return {
        family: _chroma_divergence(frames, ours[family])
        if family == "chroma"
        else float(
            np.mean(
                [histogram_divergence(*rows) for rows in zip(frames, ours[family], strict=True)]
            )
        )
        for family, frames in theirs.items()
    }


def histogram_divergence(reference: np.ndarray, values: np.ndarray) -> float:
    """KL(reference ‖ values) in nats of two samples of one number, as `feature_divergences` says."""
    edges = np.linspace(reference.min(), reference.max() + 1e-9, HISTOGRAM_BINS + 1)

    def shares(sample: np.ndarray) -> np.ndarray:
        return np.histogram(np.clip(sample, edges[0], edges[-1]), edges)[0] + PSEUDO_COUNT

    return divergence(shares(reference), shares(values))


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Kullback-Leibler KL(p ‖ q) in nats of two vectors above 0, each normalised to sum 1."""
    p, q = p / p.sum(), q / q.sum()
    return float(max(0.0, (p * np.log(p / q)).sum()))


def _chroma_divergence(reference: np.ndarray, values: np.ndarray) -> float:
    return divergence(reference.mean(axis=1) + 1e-6, values.mean(axis=1) + 1e-6)


def _pooled(sounds: Sequence[Features]) -> Features:
    """All frames of all sounds side by side."""
    return {
        family: np.concatenate([features[family] for features in sounds], axis=1)
        for family in sounds[0]
    }


def _rows(rows: np.ndarray) -> np.ndarray:
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(
            f"expected at least two rows [N, D] of embeddings, got the shape {rows.shape}"
        )
    return np.asarray(rows, np.float64)


def _covariance(rows: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.cov(rows, rowvar=False))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
