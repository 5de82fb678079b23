"""Distances between sets on sets whose distance is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics.distributions import (
    divergence,
    extrapolate,
    feature_divergences,
    frechet_distance,
    frechet_infinity,
    histogram_divergence,
)
from evaluation.metrics.sound import Sound


def gaussian(rows, mean, scale, seed=0):
    """Rows [N, D] with exactly this sample mean [D] and covariance, diagonal scale² [D]."""
    values = np.random.default_rng(seed).standard_normal((rows, len(mean)))
    values -= values.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(values, rowvar=False))).T
    return values @ whiten * np.asarray(scale) + np.asarray(mean)


def test_known_gaussians_have_the_known_distance():
    a, b = gaussian(200, [0, 0, 0], [1, 2, 3]), gaussian(300, [1, 2, 2], [2, 2, 1], seed=1)
    assert frechet_distance(a, b) == pytest.approx(
        9 + (1 - 2) ** 2 + (2 - 2) ** 2 + (3 - 1) ** 2, abs=1e-8
    )


def test_known_correlated_gaussians_agree_with_the_plain_formula():
    from scipy.linalg import sqrtm

    random = np.random.default_rng(3)
    a, b = (
        random.standard_normal((90, 6)) @ random.standard_normal((6, 6)),
        random.standard_normal((80, 6)) + 1,
    )
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    plain = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(
        cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real
    )
    assert frechet_distance(a, b) == pytest.approx(plain, rel=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 24), st.integers(0, 99))
def test_it_is_symmetric_never_negative_and_zero_to_itself_also_with_fewer_rows_than_dimensions(
    n, m, d, seed
):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((n, d)), random.standard_normal((m, d)) * 2 + 1
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-5, abs=1e-6)
    assert frechet_distance(a, b) >= 0
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)


def test_one_row_is_no_distribution():
    with pytest.raises(ValueError, match="two rows"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_a_line_in_one_over_n_is_found_again():
    sizes = np.array([50, 60, 80, 100])
    found = extrapolate(sizes, 7 / sizes + 3)
    assert found.value == pytest.approx(3) and found.fit == pytest.approx(1)


def test_infinitely_many_rows_of_one_distribution_are_nearer_than_few():
    random = np.random.default_rng(0)
    reference, few = random.standard_normal((4000, 8)), random.standard_normal((60, 8))
    plain, limit = frechet_distance(few, reference), frechet_infinity(few, reference)
    assert abs(limit.value) < plain
    assert frechet_infinity(few, reference) == limit, "the subsets are drawn by seed"
    assert np.isnan(frechet_infinity(few[:19], reference).value)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(2, 300))
def test_divergence_is_never_negative_and_zero_only_of_equals(seed, count):
    random = np.random.default_rng(seed)
    p, q = random.random(count) + 0.01, random.random(count) + 0.01
    assert divergence(p, q) > 0
    assert divergence(p, p) == pytest.approx(divergence(p, 3 * p), abs=1e-12) == 0
    assert histogram_divergence(p, q) >= 0 and histogram_divergence(q, q) == 0


def test_divergence_is_the_textbooks():
    assert divergence(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(
        0.5 * np.log(4 / 3)
    )


def test_feature_families_each_hear_their_own(tune):
    rate_hz = tune.rate_hz
    noise = Sound(
        (np.random.default_rng(0).standard_normal(2 * rate_hz) * 0.1).astype(np.float32), rate_hz
    )
    same = feature_divergences([tune.features], [tune.features])
    assert same == {"mfcc": 0, "chroma": 0, "spectral": 0, "zero_crossing": 0}
    other = feature_divergences([noise.features], [tune.features])
    assert all(value > 0.05 for value in other.values())
