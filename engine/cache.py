"""Answers that were costly, by what was asked; those that were used last. One thread at a time."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import numpy as np


class LRUCache:
    """Arrays by the content of the arrays that they were made of."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def get(self, asked: np.ndarray, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What `make` says, or said when the same was asked. Nobody may write into it."""
        key = hashlib.sha256(np.ascontiguousarray(asked)).digest()
        if key not in self._held:
            self._held[key] = make()
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
        return self._held[key]
