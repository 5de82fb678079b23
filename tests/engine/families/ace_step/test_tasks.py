"""Words become ACE-Step's instruction, or an error that names what is expected."""

import pytest

from engine.errors import EngineError
from engine.families.ace_step.tasks import TASKS, instruction_for, tracks_in
from engine.families.registry import FAMILIES


@pytest.mark.parametrize(
    ("text", "tracks"),
    [
        ("tight funk drums", ["DRUMS"]),
        ("Drums, double bass and a piano", ["DRUMS", "BASS", "KEYBOARD"]),
        ("backing vocals in thirds", ["BACKING_VOCALS"]),
        ("a singer with backing vocals", ["VOCALS", "BACKING_VOCALS"]),
        ("drum kit and drums", ["DRUMS"]),
        ("bassoon solo", ["WOODWINDS"]),
        ("something warm", []),
    ],
)
def test_tracks_are_found_in_words(text, tracks):
    assert tracks_in(text) == tracks


def test_instructions_are_those_that_the_model_was_trained_with():
    pytest.importorskip("diffusers")
    from diffusers.pipelines.ace_step.pipeline_ace_step import AceStepPipeline

    stock = AceStepPipeline._get_task_instruction
    assert instruction_for(TASKS["lego"], "loud drums") == stock("lego", track_name="DRUMS")
    assert instruction_for(TASKS["extract"], "the vocals") == stock("extract", track_name="VOCALS")
    assert instruction_for(TASKS["complete"], "bass, drums") == stock(
        "complete", complete_track_classes=["BASS", "DRUMS"]
    )
    assert instruction_for(TASKS["complete"], "more of it") == stock("complete")
    for name in ("cover", "repaint"):
        assert instruction_for(TASKS[name], "jazz") == stock(name)


@pytest.mark.parametrize(
    ("task", "text"), [("lego", "something"), ("lego", "bass and drums"), ("extract", "it all")]
)
def test_a_task_that_wants_one_track_says_which_there_are(task, text):
    with pytest.raises(EngineError, match="wants one track of: .*vocals.*drums") as caught:
        instruction_for(TASKS[task], text)
    assert caught.value.code == "bad_args"


def test_the_familys_tasks_are_the_tables():
    assert FAMILIES["ace_step"].tasks == tuple(TASKS)
