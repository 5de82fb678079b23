import json

import pytest

from benchmarks import figures
from benchmarks.figures import Figure, median_parts, percentile


@pytest.mark.parametrize("percent, value", [(1, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(percent, value):
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_the_99th_of_few_values_is_the_worst_of_them():
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


def test_parts_are_medians_and_the_longest_comes_first():
    rows = [{"a": 1.0, "b": 5.0}, {"a": 2.0, "b": 4.0, "c": 9.0}, {"a": 3.0, "b": 6.0}]
    assert list(median_parts(rows).items()) == [("b", 5.0), ("a", 2.0), ("c", 0.0)]


@pytest.mark.parametrize("goal, verdict", [(None, ""), (1.0, "ok"), (0.999, "MISSED")])
def test_a_goal_is_the_most_that_would_do(goal, verdict):
    assert Figure("turnaround", 1.0, "s", goal).verdict == verdict


def test_a_table_shows_the_goal_beside_the_figure_and_parts_below():
    text = figures.table([Figure("turnaround", 1.25, "s", 1.0, "10 edits", {"generating": 0.9})])
    assert text.splitlines()[1:] == [
        "turnaround    1.25 s    ≤ 1 s  MISSED  10 edits",
        "  generating  0.9 s",
    ]


def test_markdown_has_a_row_for_each_line():
    page = figures.markdown([Figure("memory", 123.4, "MB"), Figure("x", 1, "s", parts={"y": 0.5})])
    assert page.splitlines()[2:] == [
        "| memory | 123 MB |  |  |  |",
        "| x | 1 s |  |  |  |",
        "| · y | 0.5 s |  |  |  |",
    ]


def test_json_carries_the_verdict():
    assert (
        json.loads(json.dumps(figures.as_rows([Figure("x", 2, "s", 1)])))[0]["verdict"] == "MISSED"
    )
