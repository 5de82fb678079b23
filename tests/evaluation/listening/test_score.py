"""Answers of invented listeners whose result is known."""

import csv

import pytest

from evaluation.corpus.results import ResultsError, read_results
from evaluation.exams import listen
from evaluation.listening.build import build
from evaluation.listening.collect import COLUMNS, write_answers
from evaluation.listening.score import score, sign_test
from tests.evaluation.listening.results import METHODS, write_results


@pytest.fixture
def built(tmp_path):
    folder = tmp_path / "test"
    return folder, build(read_results(write_results(tmp_path)), folder, seed=3)


def answer_all(key, listener, likes=METHODS[0]):
    """Prefers one method everywhere: rates it 5, the other 2."""
    rows = []
    for trial in key["trials"]:
        methods = [key["stimuli"][name]["method"] for name in trial["stimuli"]]
        answer = (
            "ab"[methods.index(likes)]
            if trial["kind"] == "ab"
            else "5"
            if methods[0] == likes
            else "2"
        )
        for question in trial["questions"]:
            values = (
                key["test"],
                listener,
                trial["id"],
                trial["kind"],
                question["id"],
                answer,
                "4.2",
            )
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return {"listener": listener, "rows": rows}


def test_the_preferred_method_wins_although_the_sides_were_swapped(built):
    folder, key = built
    for listener in ("ann", "bo"):
        write_answers(folder / "results", key, answer_all(key, listener))
    found = score(folder)
    assert found["listeners"] == 2
    assert [(row["methods"], row["wins"], row["ties"]) for row in found["ab"]] == [
        (list(METHODS), [4, 0], 0)
    ] * 3
    assert {(row["method"], row["mean"], row["n"]) for row in found["mos"]} == {
        (METHODS[0], 5, 4),
        (METHODS[1], 2, 4),
    }


def test_handing_in_twice_counts_once_and_the_later_answer_holds(built):
    folder, key = built
    write_answers(folder / "results", key, answer_all(key, "ann", METHODS[0]))
    write_answers(folder / "results", key, answer_all(key, "ann", METHODS[1]))
    assert [row["wins"] for row in score(folder)["ab"]] == [[0, 2]] * 3
    assert len(list((folder / "results").iterdir())) == 2


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(5, 5, 1.0), (0, 0, 1.0), (10, 0, 2 / 1024), (1, 0, 1.0), (8, 2, 112 / 1024)],
)
def test_the_sign_test_is_the_binomials(wins, losses, p):
    assert sign_test(wins, losses) == sign_test(losses, wins) == pytest.approx(p)


def test_no_answers_and_foreign_answers_are_refused(built, tmp_path, capsys):
    folder, key = built
    assert listen.main([str(folder), "--score"]) == 1
    assert "no answers yet" in capsys.readouterr().err
    foreign = answer_all({**key, "test": "another"}, "ann")["rows"]
    with open(tmp_path / "foreign.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(foreign)
    with pytest.raises(ResultsError, match="to the test"):
        score(folder, [tmp_path / "foreign.csv"])


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ([], "expected"),
        ({"listener": " ", "rows": []}, "expected"),
        ({"listener": "x", "rows": [{"test": 1}]}, "has the fields"),
        ({"listener": "x", "rows": [dict.fromkeys(COLUMNS, "y")]}, "another test"),
    ],
)
def test_what_a_browser_sends_is_checked(built, sent, complaint):
    folder, key = built
    with pytest.raises(ValueError, match=complaint):
        write_answers(folder / "results", key, sent)


def test_a_listeners_name_cannot_leave_the_folder(built):
    folder, key = built
    assert (
        write_answers(folder / "results", key, answer_all(key, "../../evil")).parent
        == folder / "results"
    )
