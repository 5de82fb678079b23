"""What was made once is not made again, and what is old makes room."""

import numpy as np

from engine.cache import LRUCache


class Maker:
    calls = 0

    def __call__(self):
        self.calls += 1
        return np.full(10, self.calls)


def test_the_same_content_is_made_once_and_another_anew():
    remembered, make = LRUCache(4), Maker()
    first = remembered.get(np.arange(5.0), make)
    assert remembered.get(np.arange(5.0), make) is first and make.calls == 1
    assert remembered.get(np.arange(5.0)[::-1], make)[0] == 2


def test_what_was_used_longest_ago_makes_room():
    remembered, make = LRUCache(2), Maker()
    asked = [np.array([number]) for number in range(3)]
    for one in (asked[0], asked[1], asked[0], asked[2], asked[0]):
        remembered.get(one, make)
    assert make.calls == 3
    remembered.get(asked[1], make)
    assert make.calls == 4
