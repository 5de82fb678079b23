"""The three tasks on a scene: what is kept, what is new, and that windows leave no trace."""

from dataclasses import replace

import numpy as np
import pytest

from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.musicgen.editor import Editor, Lengths
from engine.families.musicgen.sampler import Span
from engine.knobs import Knobs
from tests.engine.signals import noise, sine

KNOBS = Knobs(
    strength=1.0,
    pooling=1,
    guidance=3.0,
    negative="",
    steps=1,
    seed=1,
    prompts=(("a violin", 1.0),),
)
NOTHING = np.zeros((0, 1), np.float32)
SHORT = Lengths(Span(24, 10), prompt=8, least_prompt=2, seam=320, overlap=6)


def scene(region, before=NOTHING):
    return Scene(before, np.asarray(region, np.float32), NOTHING)


def test_the_lengths_are_those_that_the_model_was_trained_with(plain):
    assert Lengths.of(plain) == Lengths(Span(1500, 600), 500, 50, 1600, 50)


@pytest.mark.parametrize("count", [1, 639, 640, 641, 40 * 640 + 7])
def test_every_length_is_met_to_the_sample(plain, count):
    assert Editor(plain, SHORT).edit(scene(np.zeros((count, 1))), "generate", KNOBS).shape == (
        count,
        1,
    )


def test_what_sounds_in_the_region_is_not_heard_when_new_music_is_asked(plain):
    regions = (np.zeros((6_400, 1)), noise(6_400))
    takes = [Editor(plain, SHORT).edit(scene(region), "generate", KNOBS) for region in regions]
    np.testing.assert_array_equal(*takes)


def test_a_continuation_begins_where_the_music_before_it_ends(plain):
    region = sine(9_000, 32_000, 300)[:, None]
    made = Editor(plain, SHORT).edit(scene(region, noise(8_000)), "continue", KNOBS)
    assert made.shape == region.shape
    assert np.abs(made[:4] - region[:4]).max() < 1e-3  # at the seam it is what the file has there
    assert np.abs(made[400:] - region[400:]).max() > 0.1


def test_without_anything_before_it_the_regions_first_third_is_kept_and_continued(plain):
    region = noise(19_200)
    made = Editor(plain, SHORT).edit(scene(region, noise(640)), "continue", KNOBS)
    kept = 8 * 640  # a third would be 10 frames, the prompt is at most 8
    np.testing.assert_array_equal(made[:kept], region[:kept])
    assert np.abs(made[kept + 320 :] - region[kept + 320 :]).max() > 0.1


def test_a_continuation_is_the_codes_after_the_prompt(plain):
    from engine.families.musicgen.conditions import Conditioner, branches_of
    from engine.families.musicgen.decoder import Decoder
    from engine.families.musicgen.sampler import SamplingOptions, sample

    before, region = noise(8 * 640), np.zeros((5 * 640, 1), np.float32)
    conditioner = Conditioner(plain, branches_of(KNOBS.prompts, "", KNOBS.guidance))
    decoder = Decoder(
        plain.model.decoder, conditioner.factors, lambda first: conditioner.build_condition()
    )
    codes = sample(
        decoder,
        plain.encode(before),
        5,
        plain.delays,
        plain.padding,
        SHORT.span,
        SamplingOptions(),
        KNOBS.seed,
    )
    made = Editor(plain, SHORT).edit(scene(region, before), "continue", KNOBS)
    np.testing.assert_array_equal(made[320:], plain.decode(codes)[8 * 640 :][320:])


def test_an_accompaniment_hears_in_every_window_the_melody_of_that_window(melodic):
    low, high = sine(30 * 640, 32_000, 262)[:, None], sine(30 * 640, 32_000, 392)[:, None]
    editor = Editor(melodic, replace(SHORT, span=Span(24, 4)))
    one, two, three = (
        editor.edit(scene(np.concatenate(parts)), "accompaniment", KNOBS)
        for parts in ((low, low), (high, low), (low, high))
    )
    assert (one[: 10 * 640] != two[: 10 * 640]).any()
    assert (one != three).any()


def test_chunks_of_the_codec_are_joined_without_a_step(plain):
    codes = np.random.default_rng(0).integers(0, 32, (4, 60))
    whole, chunks = plain.decode(codes), Editor(plain, SHORT).decode(codes)
    assert chunks.shape == whole.shape == (60 * 640, 1)
    away = np.abs(chunks - whole).max() / np.abs(whole).max()
    # the tiny codec's memory is as long as an overlap, the real one's is shorter
    assert away < 0.35
    steps = np.abs(np.diff(chunks[:, 0]))
    assert steps.max() <= 1.2 * np.abs(np.diff(whole[:, 0])).max()


def test_every_stage_is_told_and_a_cancel_ends_the_work(plain):
    told = []
    Editor(plain, SHORT).edit(
        scene(np.zeros((20 * 640, 1))),
        "generate",
        KNOBS,
        progress=lambda stage, done: told.append((stage, done)),
    )
    assert list(dict(told)) == ["encoding", "generating", "decoding"]
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert sum(stage == "generating" for stage, _ in told) == 1 + 23
    with pytest.raises(Cancelled):
        Editor(plain, SHORT).edit(
            scene(np.zeros((6_400, 1))), "generate", KNOBS, cancelled=lambda: True
        )
