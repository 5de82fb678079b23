"""Choices from bytes, so that a fuzzer that changes bytes changes choices."""

from __future__ import annotations


class Reader:
    """Choices from bytes: what is left when they run out is 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def number(self, size_bytes: int = 1) -> int:
        return int.from_bytes(self.bytes(size_bytes), "little")

    def bytes(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece
