"""Changes that are no product of two small matrices, and the LoRA that is nearest to them.

LoHa is a product of products, number by number; LoKr is a Kronecker product; DoRA's change depends
on the weights that it is added to (Liu et al. 2024, equation 5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from engine.adapters.files import AdapterFileError

MOST_RANK = 64  # of a reduced layer
WANTED_ERROR, MOST_ERROR = 0.01, 0.1  # of a reduced layer, relative to its own change

Row = Mapping[str, np.ndarray]  # factor -> tensor, of one layer


class Reductions:
    """Reduces changes to LoRA, and remembers how near it came."""

    def __init__(self) -> None:
        self._errors: dict[str, list[tuple[float, int]]] = defaultdict(list)

    def reduce(
        self, kind: str, name: str, change: np.ndarray, cure: str = "train it as a LoRA"
    ) -> tuple[np.ndarray, np.ndarray]:
        """down [R, fan_in] and up [fan_out, R] of a change [fan_out, fan_in].

        Raises AdapterFileError where they are too far from it.
        """
        down, up, error = reduce_rank(change)
        if error > MOST_ERROR:
            message = (
                f"{name}: as a LoRA of rank {len(down)} this {kind} is {error:.0%} off, "
                f"{MOST_ERROR:.0%} are allowed; {cure}"
            )
            raise AdapterFileError("bad_file", message)
        self._errors[kind].append((error, len(down)))
        return down, up

    def remarks(self) -> tuple[str, ...]:
        return tuple(
            f"adapter: {kind} in {len(rows)} layers became LoRA of rank "
            f"{max(rank for _, rank in rows)} at most, the worst is "
            f"{max(error for error, _ in rows):.1%} off"
            for kind, rows in self._errors.items()
        )


def reduce_rank(
    change: np.ndarray, most_rank: int = MOST_RANK
) -> tuple[np.ndarray, np.ndarray, float]:
    """The nearest factors, down and up, of the lowest rank that is near enough, and their error."""
    left, sizes, right = np.linalg.svd(change.astype(np.float32), full_matrices=False)
    # energy that rank 0, 1, 2, ... leaves out
    rest = np.append(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0)
    errors = np.sqrt(rest / max(float(rest[0]), 1e-30))
    rank = max(1, min(int(np.argmax(errors <= WANTED_ERROR)), most_rank))
    return right[:rank], left[:, :rank] * sizes[:rank], float(errors[rank])


def kind_of(name: str, row: Row) -> str:
    """LoRA, LoHa or LoKr. Raises AdapterFileError where factors are missing."""
    if {"lora_A", "lora_B"} <= set(row):
        return "LoRA"
    if {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} <= set(row):
        return "LoHa"
    if _half(row, "lokr_w1") is not None and _half(row, "lokr_w2") is not None:
        return "LoKr"
    message = (
        f"{name}: expected both factors, as LoRA, LoHa, LoKr have them, found "
        f"{', '.join(sorted(row))}"
    )
    raise AdapterFileError("bad_file", message)


def rank_of(kind: str, row: Row) -> int:
    """What alpha is divided by; 0 for a LoKr that is not factored, which has no scale."""
    if kind == "LoRA":
        return int(row["lora_A"].shape[0])
    if kind == "LoHa":
        return int(row["hada_w1_b"].shape[0])
    # as LyCORIS and peft do
    ranks = [int(row[key].shape[0]) for key in ("lokr_w2_b", "lokr_w1_b") if key in row]
    return ranks[0] if ranks else 0


def lycoris_change(kind: str, name: str, row: Row) -> np.ndarray:
    """The unscaled change [fan_out, fan_in] of a LoHa or LoKr."""
    row = {key: _matrix(name, key, values) for key, values in row.items() if key != "alpha"}
    if kind == "LoHa":
        one, two = row["hada_w1_a"] @ row["hada_w1_b"], row["hada_w2_a"] @ row["hada_w2_b"]
        return np.asarray(one * two)
    one_half, other_half = _half(row, "lokr_w1"), _half(row, "lokr_w2")
    assert one_half is not None and other_half is not None, "kind_of has seen both"
    return np.kron(one_half, other_half)


def dora_change(change: np.ndarray, magnitude: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """m (W + change) / |W + change| - W, the length taken over a neuron's inputs."""
    gain = dora_gain(change, magnitude, weight)
    return np.asarray((weight + change) * gain[:, None] - weight)


def dora_gain(change: np.ndarray, magnitude: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """m / |W + change| of every neuron, [fan_out]; W and change are [fan_out, fan_in]."""
    lengths = np.sqrt(np.square(weight + change).sum(axis=1))
    return np.asarray(magnitude.astype(np.float32) / np.maximum(lengths, 1e-12))


def _half(row: Row, name: str) -> np.ndarray | None:
    if name in row:
        return row[name]
    if f"{name}_a" in row and f"{name}_b" in row:
        return np.asarray(row[f"{name}_a"] @ row[f"{name}_b"])
    return None


def _matrix(name: str, key: str, values: np.ndarray) -> np.ndarray:
    if key in ("hada_t1", "hada_t2", "lokr_t2") or set(values.shape[2:]) - {1}:
        message = f"{name} is a convolution's, which can only be played as a LoRA; train it as one"
        raise AdapterFileError("bad_file", message)
    return values.reshape(values.shape[:2]).astype(np.float32)
