"""What keeps costly results that may be needed again? Those that were used last."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LRUCache(Generic[Key, Value]):
    """At most `most` values by key. One thread at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not there. Nobody may write into it."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values


def content_key(values: np.ndarray) -> bytes:
    """A key by what an array holds."""
    return hashlib.sha256(np.ascontiguousarray(values).data).digest()
