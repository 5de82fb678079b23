"""How does the test become a webMUSHRA experiment? A/B and MUSHRA pages.

Format: github.com/audiolabs/webMUSHRA, doc/experimenter.md. webMUSHRA's MUSHRA asks for likeness to
a reference. Our reference is the original, so that page measures how well notes and timing are
kept; webMUSHRA itself makes the 3.5 kHz anchor. The A/B pages ask about the words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import yaml

# where the test's folder lies inside webMUSHRA; its paths count from webMUSHRA's root
PLACE = "retimbre"
HEADER = f"""\
# Copy the folder test/ to webMUSHRA/{PLACE}/ and this file to webMUSHRA/configs/;
# then open webMUSHRA?config=retimbre.yaml.
# Conditions are named by stimulus: key.json, which stays with you, says which is whose.
"""
MOS_LABELS = ("bad", "poor", "fair", "good", "excellent")  # ITU-T P.800


def experiment(test: str, trials: Sequence[Mapping[str, Any]]) -> str:
    """The YAML of one experiment."""
    volume = trials[0]["original"] or trials[0]["stimuli"][0]
    pages: list[Any] = [
        {
            "type": "volume",
            "id": "volume",
            "name": "Volume",
            "content": "Set a comfortable volume, then leave it.",
            "stimulus": _path(volume),
            "defaultVolume": 0.5,
        },
        ["random", *_pages(trials)],
        {
            "type": "finish",
            "name": "Thank you",
            "content": "Send to hand in your answers.",
            "showResults": False,
            "writeResults": True,
        },
    ]
    config = {
        "testname": "Listening test",
        "testId": f"retimbre_{test}",
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": True,
        "remoteService": "service/write.php",
        "pages": pages,
    }
    return HEADER + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=1000)


def _pages(trials: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    together: dict[str, dict[str, Any]] = {}
    for trial in trials:
        if trial["kind"] == "ab":
            yield from _pair_pages(trial)
        elif trial["original"]:
            together.setdefault(trial["piece"], {**trial, "stimuli": []})["stimuli"] += trial[
                "stimuli"
            ]
        else:
            yield _likert(trial)
    for trial in together.values():
        yield _mushra(trial)


def _pair_pages(trial: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One page a question."""
    for question in trial["questions"]:
        page = {
            "type": "paired_comparison",
            "id": f"{trial['id']}_{question['id']}",
            "name": question["text"],
            "unforced": "no difference",
            "content": _words(trial),
            "showWaveform": False,
            "enableLooping": True,
            "stimuli": _stimuli(trial),
        }
        yield {**page, "reference": _path(trial["original"])} if trial["original"] else page


def _mushra(trial: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "mushra",
        "id": trial["id"],
        "name": "How well are the notes and the timing of the reference kept?",
        "content": "The sounds may differ from the reference: judge notes and timing alone.",
        "showWaveform": False,
        "enableLooping": True,
        "strict": False,
        "reference": _path(trial["original"]),
        "createAnchor35": True,
        "createAnchor70": False,
        "randomize": True,
        "showConditionNames": False,
        "stimuli": _stimuli(trial),
    }


def _likert(trial: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "likert_single_stimulus",
        "id": trial["id"],
        "name": trial["questions"][0]["text"],
        "content": _words(trial),
        "mustRate": True,
        "mustPlayback": "ended",
        "stimuli": _stimuli(trial),
        "response": [
            {"value": value, "label": label} for value, label in enumerate(MOS_LABELS, start=1)
        ],
    }


def _stimuli(trial: Mapping[str, Any]) -> dict[str, str]:
    return {name: _path(name) for name in trial["stimuli"]}


def _words(trial: Mapping[str, Any]) -> str:
    return f"The words: “{escape(trial['text'])}”" if trial["text"] else ""


def _path(name: str) -> str:
    return f"{PLACE}/audio/{name}.wav"
