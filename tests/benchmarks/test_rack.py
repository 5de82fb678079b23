"""The queue of a rack: against the textbook, and against jobs that really wait."""

import heapq
import math
import random

import pytest

from benchmarks.rack import Queue, smallest


def test_the_probability_of_waiting_is_erlangs():
    assert Queue(1, 1.0, 0.6).waits() == pytest.approx(0.6)
    assert Queue(2, 1.0, 1.0).waits() == pytest.approx(1 / 3)
    load, all_busy = 2.5, 2.5**4 / math.factorial(4) * 4 / (4 - 2.5)  # as in the definition
    some_free = sum(load**busy / math.factorial(busy) for busy in range(4))
    assert Queue(4, 1.0, load).waits() == pytest.approx(all_busy / (some_free + all_busy))
    assert 0 < Queue(1000, 1.0, 990.0).waits() < 1


def test_one_replica_waits_as_pollaczek_and_khinchine_say():
    assert Queue(1, 2.0, 0.25, variation=1.0).wait_seconds() == pytest.approx(2.0)
    assert Queue(1, 2.0, 0.25, variation=0.0).wait_seconds() == pytest.approx(1.0)


@pytest.mark.parametrize(("replicas", "variation"), [(2, 0.0), (4, 0.5), (4, 1.0)])
def test_jobs_that_come_by_chance_wait_as_long(replicas, variation):
    seconds, per_second, chance = 1.0, 0.8 * replicas, random.Random(1)
    free, now, waited = [0.0] * replicas, 0.0, []
    for _ in range(60_000):
        now += chance.expovariate(per_second)
        begins = max(now, free[0])
        length = (
            chance.gammavariate(1 / variation**2, seconds * variation**2) if variation else seconds
        )
        heapq.heapreplace(free, begins + length)
        waited.append(begins - now)
    queue = Queue(replicas, seconds, per_second, variation)
    assert sum(waited) / len(waited) == pytest.approx(queue.wait_seconds(), rel=0.15)
    assert sorted(waited)[int(0.95 * len(waited))] <= queue.wait_seconds_of() * 1.1


def test_the_smallest_rack_does_and_one_less_does_not():
    queue = smallest(seconds=1.0, per_second=3.0, variation=1.0, wait=0.5)
    less = Queue(queue.replicas - 1, 1.0, 3.0)
    assert queue.wait_seconds_of() <= 0.5
    assert not less.is_stable or less.wait_seconds_of() > 0.5
    assert smallest(seconds=100.0, per_second=100.0, variation=1.0, wait=1.0) is None
