"""The styles that we ship."""

from presets import Library, resolve


def test_every_shipped_style_loads_and_says_what_it_does_in_one_line():
    library = Library()
    assert not library.report.errors
    assert len(library) >= 12
    assert all(len(preset.description) >= 20 for preset in library.presets())


def test_no_two_shipped_styles_ask_for_the_same():
    keys = ("model", "task", "prompts", "negative_prompt", "audio_prompt", "guidance")
    asked = [repr([resolve(preset, "words")[key] for key in keys]) for preset in Library().presets()]
    assert len(set(asked)) == len(asked)


def test_shipped_styles_use_words_that_the_model_was_trained_on():
    from training.instruments import INSTRUMENTS

    known = {word for instrument in INSTRUMENTS for word in instrument.words}
    for preset in Library().presets():
        for prompt in preset.prompts:
            assert "{text}" in prompt.text or any(word in prompt.text for word in known), (preset.name, prompt.text)
