import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.live.ring import FramesGone, Ring

BLOCKS = st.lists(st.integers(1, 90), max_size=40)


def sound(frames, channels=2):
    return np.arange(frames * channels, dtype=np.float32).reshape(frames, channels)


def make_ring(blocks, capacity=50, slack=30):
    """A ring into which `sound` came in blocks, and the sound."""
    whole = sound(sum(blocks))
    ring = Ring(capacity, 2, slack)
    for end, block in zip(np.cumsum(blocks, dtype=int), blocks, strict=True):
        ring.write(whole[end - block : end])
    return ring, whole


@given(blocks=BLOCKS, data=st.data())
def test_whatever_blocks_it_came_in_it_is_the_same_sound(blocks, data):
    ring, whole = make_ring(blocks)
    start = data.draw(st.integers(ring.oldest, ring.head))
    frames = data.draw(st.integers(0, ring.head - start))
    assert ring.head == len(whole) and ring.oldest == max(0, len(whole) - 50)
    assert np.array_equal(ring.read(start, frames), whole[start : start + frames])


@given(blocks=BLOCKS.filter(lambda blocks: sum(blocks) > 50))
def test_what_is_older_than_the_ring_is_refused(blocks):
    ring, _ = make_ring(blocks)
    with pytest.raises(FramesGone, match="forgotten"):
        ring.read(ring.oldest - 1, 1)


def test_what_has_not_come_is_refused():
    ring, _ = make_ring([10])
    with pytest.raises(FramesGone, match="has not come"):
        ring.read(5, 6)


def test_a_block_that_is_written_during_a_read_does_no_harm_to_what_was_promised():
    ring, whole = make_ring([50])
    ring._samples[50:80] = -1  # half a write: samples are there, the head is not moved yet
    assert np.array_equal(ring.read(0, 50), whole)
