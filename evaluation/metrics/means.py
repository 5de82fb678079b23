"""What do many figures come to? Their mean, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def mean_and_error(values: Sequence[float]) -> dict[str, float]:
    """`mean`, and `error`, its standard error. nan values do not count."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return {"mean": float("nan"), "error": float("nan")}
    return {"mean": float(known.mean()), "error": float(known.std() / np.sqrt(len(known)))}


def figure_means(
    figures: Iterable[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Figure -> mean and error over the rows that have it."""
    return {
        figure: mean_and_error([row.get(figure, float("nan")) for row in rows])
        for figure in figures
    }
