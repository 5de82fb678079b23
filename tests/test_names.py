"""Names say what things are: actions are verbs, and each concept has the glossary's word."""

import ast
import re

import pytest

from tests.imports import FILES, ROOT, parse

# Words that once stood for something, and what the glossary says instead.
GLOSSARY = {
    "Book": "JobRegistry",
    "Ear": "Subscriber",
    "Gate": "Authenticator",
    "Lane": "SerialExecutor",
    "Learner": "Adapter",
    "Line": "FairQueue, Connection",
    "Patience": "Timeouts",
    "Rack": "AdapterManager",
    "Refusal": "RequestError",
    "Remembered": "LRUCache",
    "Shelf": "ModelCache",
    "Speaker": "OverlapAddSynthesizer",
    "Subject": "TrainableModel",
    "Wardrobe": "AdapterManager",
    "asked": "parse_request",
    "balanced": "match_note_balance",
    "clues": "features",
    "deceiving_losses": "adversarial_loss",
    "disguise": "augment_features",
    "readings": "metrical_hypotheses",
    "rises": "onset_strength",
    "said": "summary",
    "sharpened": "match_transients",
    "sounding": "pitch_activations",
    "speak": "process",
    "told": "to_error",
    "trouble": "unavailable_reason",
    "understood": "parse_request",
    "wear": "set_adapters",
    "worn": "active",
}
# Past participles that do not end in -ed. "put", "read", "set" and the like are verbs as well.
IRREGULAR = re.compile(
    "made|told|heard|asked|said|held|given|taken|known|seen|kept|written|worn|sent|begun|drawn|"
    "spoken|built|done|gone|lost|brought|bought|caught|meant|met|shown|grown|hung|laid|led|lent|"
    "paid|sold|sung|struck|thought|understood|won|bound|born|chosen|driven|fallen|forgotten|"
    "frozen|hidden|shaken|shot|spent|stood|stuck|swept|sworn|thrown|torn|woven"
)
REGULAR = re.compile("(?!(seed|feed|speed|need|embed)$)[a-z]+ed")
PUBLIC = ("accepted",)  # documented names of the client's jobs
VALUES = ("property", "cached_property", "fixture")  # these are nouns, or say what is there


def functions():
    for path in FILES:
        for node in ast.walk(parse(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def is_value(node):
    decorators = [getattr(each, "func", each) for each in node.decorator_list]
    return any(getattr(each, "attr", getattr(each, "id", "")) in VALUES for each in decorators)


def is_participle(name):
    word = name.strip("_").split("_")[0]
    return bool(REGULAR.fullmatch(word) or IRREGULAR.fullmatch(word))


@pytest.mark.parametrize(
    ("name", "expected"), [("made", True), ("_settled", True), ("settle", False), ("feed", False)]
)
def test_a_participle_is_known(name, expected):
    assert is_participle(name) == expected


def test_functions_are_called_by_verbs():
    assert [
        place
        for place, node in functions()
        if is_participle(node.name) and not is_value(node) and node.name not in PUBLIC
    ] == []


def test_old_words_stay_out():
    classes = (
        (f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node)
        for path in FILES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
    )
    found = [
        f"{place}: say {GLOSSARY[node.name.strip('_')]}"
        for place, node in (*functions(), *classes)
        if node.name.strip("_") in GLOSSARY
    ]
    assert found == []
