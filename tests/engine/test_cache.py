"""What was made once is not made again, and what is old makes room."""

import numpy as np

from engine.cache import LRUCache, content_key


class Maker:
    calls = 0

    def __call__(self):
        self.calls += 1
        return np.full(10, self.calls)


def test_the_same_content_is_made_once_and_another_again():
    remembered, make = LRUCache(4), Maker()
    first = remembered.get(content_key(np.arange(5.0)), make)
    assert remembered.get(content_key(np.arange(5.0)), make) is first and make.calls == 1
    assert remembered.get(content_key(np.arange(5.0)[::-1]), make)[0] == 2


def test_what_was_used_longest_ago_makes_room():
    remembered, make = LRUCache(2), Maker()
    for key in (0, 1, 0, 2, 0):
        remembered.get(key, make)
    assert make.calls == 3 and 1 not in remembered
    remembered.get(1, make)
    assert make.calls == 4
