"""Every target, briefly: its corpus and random changes of it.

The long search is python -m tests.fuzz --all.
"""

import importlib.util
import random

import pytest

from tests.fuzz.__main__ import fuzz, keep_failures
from tests.fuzz.targets import CORPUS, TARGETS

CHANGES = 2000
# per second, not per branch
SLOW = {"preset": 150, "options": 150, "transfer": 500, "audio": 500, "query": 500}


def mutate(data, rng, others):
    """One to four small changes: bits, bytes, pieces gone, doubled or from another input."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del data[at : min(end, at + 16)]
        elif kind == 3:
            data[at:at] = data[at:end][:256]
        else:
            other = rng.choice(others)
            start = rng.randint(0, len(other))
            data[at:end] = other[start : start + rng.randint(0, 64)]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_stated_errors_comes_out(name):
    if name == "tensors":
        pytest.importorskip("torch")
    target, rng = TARGETS[name], random.Random(1)
    inputs = [path.read_bytes() for path in target.seeds(name)]
    for data in (b"", *inputs):
        target.run(data)
    for _ in range(SLOW.get(name, CHANGES)):
        target.run(mutate(rng.choice(inputs), rng, inputs)[: target.longest_bytes])


def test_the_corpus_is_small_and_belongs_to_targets():
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000
    assert {path.parent.name for path in files} == set(TARGETS)


def fail(data):
    raise ValueError("boom")


def test_what_breaks_a_target_is_kept(tmp_path):
    with pytest.raises(ValueError, match="boom"):
        keep_failures(fail, tmp_path)(b"abc")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"abc"]


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris (extra [fuzz]) is not installed"
)
def test_the_long_search_runs_and_counts(tmp_path):
    executions, branches, _, crashes = fuzz("reply", 1, tmp_path)
    assert executions > 100 and branches > 10 and crashes == 0
