"""The styles that we ship."""

from presets import Library, resolve


def test_every_shipped_style_loads_and_says_what_it_does_in_one_line():
    library = Library()
    assert not library.report.errors
    assert len(library) >= 12
    assert all(len(preset.description) >= 20 for preset in library.presets())


def test_no_two_shipped_styles_ask_for_the_same():
    keys = ("model", "task", "prompts", "negative_prompt", "audio_prompt", "guidance")
    asked = [
        repr([resolve(preset, "words").to_json()[key] for key in keys])
        for preset in Library().presets()
    ]
    assert len(set(asked)) == len(asked)


def test_shipped_styles_use_words_that_the_model_was_trained_on():
    from evaluation.corpus.instruments import SOUNDS

    known = {word for sound in SOUNDS for word in sound.words}
    for preset in Library().presets():
        for prompt in preset.prompts if preset.task == "timbre" else ():
            assert "{text}" in prompt.text or any(word in prompt.text for word in known), (
                preset.name,
                prompt.text,
            )


def test_shipped_arrangements_are_understood_and_there_is_one_for_each_genre():
    from engine.arranging.genres import GENRES
    from engine.arranging.vocabulary import ROLE_WORDS
    from engine.arranging.wording import parse_intent

    mine = [
        p
        for p in Library().presets()
        if p.model == "nano" and p.task != "timbre" and "{" not in p.prompts[0].text
    ]
    wanted = [parse_intent(preset.prompts[0].text, preset.task) for preset in mine]
    assert {each.genre for each in wanted if each.task == "genre"} == set(GENRES)
    roles = [part.role for each in wanted for part in each.parts if each.task == "accompaniment"]
    assert set(roles) <= set(ROLE_WORDS) and {"bass", "drums", "chords", "pad", "counter"} <= set(
        roles
    )
