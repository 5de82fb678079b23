"""What do the answers say? Wins of every two methods, the mean opinion of each; certainty."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import comb, sqrt
from pathlib import Path
from typing import Any

from evaluation.corpus.results import ResultsError

ANSWERS_AB = ("a", "b", "same")
ANSWERS_MOS = ("1", "2", "3", "4", "5")


def score(folder: Path, files: Sequence[Path] = ()) -> dict[str, Any]:
    """Figures of a test over its results/*.csv and any further files. ResultsError.

    `ab`: for each question and two methods the wins of each, the ties, and the two-sided sign test
    without ties. `mos`: mean, 95 % interval (normal), n. Answers of one listener are not
    independent, so few listeners with many trials make both look more certain than they are; the
    number of listeners stands beside them.
    """
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    files = [*sorted((folder / "results").glob("*.csv")), *files]
    answers = _latest(answer for path in files for answer in _read_answers(path, key["test"]))
    if not answers:
        raise ResultsError(
            f"no answers yet in {folder / 'results'}; name downloaded files behind --score"
        )
    trials = {trial["id"]: trial for trial in key["trials"]}
    duels: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    opinions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for answer in answers:
        methods = [key["stimuli"][name]["method"] for name in trials[answer["trial"]]["stimuli"]]
        if answer["kind"] == "ab":
            winner = "same" if answer["answer"] == "same" else methods["ab".index(answer["answer"])]
            first, second = sorted(methods)
            duels[answer["question"], first, second].append(winner)
        else:
            opinions[answer["question"], methods[0]].append(int(answer["answer"]))
    return {
        "test": key["test"],
        "listeners": len({answer["listener"] for answer in answers}),
        "ab": [_duel(*names, winners) for names, winners in sorted(duels.items())],
        "mos": [_opinion(*names, values) for names, values in sorted(opinions.items())],
    }


def sign_test(wins: int, losses: int) -> float:
    """Two-sided probability of a result at least this uneven, were both equally good."""
    count, few = wins + losses, min(wins, losses)
    return min(1.0, 2 * sum(comb(count, n) for n in range(few + 1)) / 2**count)


def _duel(question: str, first: str, second: str, winners: Sequence[str]) -> dict[str, Any]:
    wins = winners.count(first), winners.count(second)
    return {
        "question": question,
        "methods": [first, second],
        "wins": list(wins),
        "ties": winners.count("same"),
        "p": sign_test(*wins),
    }


def _opinion(question: str, method: str, values: Sequence[int]) -> dict[str, Any]:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    half = 1.96 * sqrt(variance / len(values))
    return {
        "question": question,
        "method": method,
        "mean": mean,
        "half_interval": half,
        "n": len(values),
    }


def _read_answers(path: Path, test: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        rows = [dict(row) for row in csv.DictReader(stream)]
    for number, row in enumerate(rows, start=2):
        allowed = ANSWERS_AB if row.get("kind") == "ab" else ANSWERS_MOS
        if row.get("test") != test or row.get("answer") not in allowed:
            raise ResultsError(
                f"{path}:{number}: expected an answer ({', '.join(allowed)}) "
                f"to the test {test}, got {row}"
            )
    return rows


def _latest(answers: Iterable[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """One answer for each listener, trial and question: handing in twice counts once."""
    return list({(row["listener"], row["trial"], row["question"]): row for row in answers}.values())
