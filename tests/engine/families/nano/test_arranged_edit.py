"""What accompaniment and genre arrange, with a model that plays the guide back as it is."""

import numpy as np
import pytest

from engine.arranging import guide
from engine.arranging.compose import compose
from engine.arranging.wording import parse_intent
from engine.errors import EngineError
from engine.families.nano.arranged_edit import ArrangedEdit
from engine.families.nano.family import DEFAULTS
from engine.hearing.lead import lead
from engine.hearing.pitches import find_pitches
from engine.knobs import resolve

SECONDS = 8.0
PIECE = compose(300_001, SECONDS, "rock")
REGION = guide.tones(PIECE.parts["chords"], SECONDS) + guide.drums(PIECE.parts["drums"], SECONDS)
KNOBS, _ = resolve("add something", {"seed": 3}, None, DEFAULTS)


def arrange(text, task="", only="", knobs=KNOBS, region=REGION, tempo_bpm=0.0):
    arranged, heard = ArrangedEdit(parse_intent(text, task), only, tempo_bpm), []

    def play(mono, knobs, progress):
        heard.append(knobs)
        progress("generating", 1.0)
        return mono

    output = arranged.run(region, knobs, play, lambda stage, done: None)
    names = [voice.name for voice in arranged.voices]
    return dict(zip(names, output.samples, strict=True)), heard, output.notes, arranged.voices


def test_each_part_is_a_stem_that_is_asked_for_with_its_own_words():
    stems, asked_for, notes, _ = arrange("add a walking upright bass and brushed drums")
    assert list(stems) == ["bass", "drums"] and all(
        stem.shape == REGION.shape for stem in stems.values()
    )
    assert [knobs.prompts for knobs in asked_for] == [
        (("walking upright bass", 1.0),),
        (("brushed drums", 1.0),),
    ]
    assert "BPM" in notes[0] and "chords" in notes[1]


def test_the_bass_is_in_the_harmony_of_the_region():
    bass = arrange("add a bass line")[0]["bass"]
    power = np.abs(np.fft.rfft(bass)) ** 2
    pitch = 69 + 12 * np.log2(np.maximum(np.fft.rfftfreq(len(bass), 1 / 32_000), 20) / 440)
    lowest = (pitch > 27) & (pitch < 53)
    classes = np.round(pitch[lowest]).astype(int) % 12
    inside = np.isin(classes, PIECE.grid.key.pitch_classes)
    assert power[lowest][inside].sum() > 0.85 * power[lowest].sum()


def test_only_a_genre_that_is_asked_for_counts_a_slow_region_in_its_own_tempo():
    def strokes(text):
        drums = arrange(text, tempo_bpm=60.0)[0]["drums"]
        level = np.abs(drums[: len(drums) // 320 * 320]).reshape(-1, 320).max(axis=1)  # 10 ms
        return int((level[1:] > 2 * level[:-1] + 0.02 * level.max()).sum())

    assert strokes("add rock drums") > 1.5 * strokes("add drums"), (
        "rock is felt at 120, what nobody named at 60"
    )


def test_a_genre_is_the_tune_and_its_band_or_their_mix():
    stems, _, notes, voices = arrange("as a bossa nova")
    assert list(stems) == ["tune", "drums", "bass", "chords"]
    tune, _ = lead(REGION, 32_000, find_pitches(REGION, 32_000))
    assert np.array_equal(stems["tune"], tune), "what the genre's lead plays is the tune alone"
    assert notes[2].startswith("tune: ")
    assert [voice.is_new for voice in voices] == [False, True, True, True]
    assert list(arrange("as a bossa nova, in one mix")[0]) == ["mix"]
    assert list(arrange("as a bossa nova", only="bass, drums")[0]) == ["drums", "bass"]


def test_the_same_seed_writes_the_same_part_and_another_seed_another():
    one, two = (arrange("add a bass line")[0]["bass"] for _ in range(2))
    other, _ = resolve("add something", {"seed": 4}, None, DEFAULTS)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, arrange("add a bass line", knobs=other)[0]["bass"])


@pytest.mark.parametrize(
    ("text", "task", "only", "says"),
    [("a violin", "genre", "", "bossa nova"), ("add a bass line", "", "drums", "bass")],
)
def test_what_is_missing_is_named(text, task, only, says):
    with pytest.raises(EngineError, match=says) as caught:
        arrange(text, task, only)
    assert caught.value.code == "bad_args"
