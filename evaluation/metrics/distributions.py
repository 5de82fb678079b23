"""How far apart do the features of two sets of sounds lie? Arrays in, numbers out; numpy alone.

A set is rows [N, D] of embeddings, or frames [values, N] of features. None of these figures means
anything without N, the name of the embedding and the reference set, so always print these too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

EXTRAPOLATION_POINTS = 15  # as in Chong and Forsyth
FEWEST_ROWS = 20  # below, half of the rows says nothing about a covariance
HISTOGRAM_BINS = 64
PSEUDO_COUNT = 0.5  # in every bin (Jeffreys): an empty bin is rare, not impossible


Features = Mapping[str, np.ndarray]  # family -> [values, frames], one sound's `Sound.features`


class Extrapolated(NamedTuple):
    """`value` at infinitely many rows; `fit`: R² of the line, near 1 where it can be trusted."""

    value: float
    fit: float


def frechet_distance(rows: np.ndarray, reference: np.ndarray) -> float:
    """|μa - μb|² + tr(Σa + Σb - 2 (Σa Σb)^½) of two sets [N, D].

    Kilgour et al. 2019 (arXiv 1812.08466). The trace of the root is the sum of the roots of the
    eigenvalues of √Σa Σb √Σa. That matrix is symmetric, so they are real even if N is below D;
    sqrtm of the plain product would need an epsilon there. With N below D the value is mostly bias:
    see `frechet_infinity`.
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


def extrapolate(sizes: ArrayLike, values: ArrayLike) -> Extrapolated:
    """The line values = slope / size + value, by least squares."""
    rows, distances = np.asarray(sizes, float), np.asarray(values, float)
    slope, value = np.polyfit(1 / rows, distances, 1)
    residue = float(np.square(distances - (slope / rows + value)).sum())
    spread = float(np.square(distances - distances.mean()).sum())
    return Extrapolated(float(value), 1 - residue / spread if spread else 1.0)


def feature_divergences(
    sounds: Sequence[Features], reference: Sequence[Features]
) -> Mapping[str, float]:
    """KL(reference ‖ sounds) in nats of each family: mfcc, chroma, spectral, zero_crossing.

    The families are those of `Sound.features`. The paper names them and compares average
    distributions, but gives neither bins nor normalisation. Here chroma is a distribution over the
    twelve pitch classes (its mean). Every other value is a histogram of 64 bins between the
    reference's own extremes, with values beyond them in the outermost bins and half a count added
    to each bin. A family is the mean of its values. Values of other tools are not comparable.
    """
    ours, found = _pool(sounds), {}
    for family, frames in _pool(reference).items():
        if family == "chroma":
            found[family] = _chroma_divergence(frames, ours[family])
        else:
            pairs = zip(frames, ours[family], strict=True)
            found[family] = float(np.mean([histogram_divergence(*pair) for pair in pairs]))
    return found


def histogram_divergence(reference: np.ndarray, values: np.ndarray) -> float:
    """KL(reference ‖ values) in nats of two samples of one number; see `feature_divergences`."""
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


def _pool(sounds: Sequence[Features]) -> Features:
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
