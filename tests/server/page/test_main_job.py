import base64

import pytest
import soundfile


def test_a_dropped_file_and_words_become_a_take_of_the_same_length(desk, region):
    drop = """([name, bytes]) => {
        const data = new DataTransfer();
        const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
        data.items.add(new File([content], name));
        document.body.dispatchEvent(
            new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    desk.look(drop, ["dropped.wav", base64.b64encode(region.read_bytes()).decode()])
    desk.page.wait_for_selector("[data-lane=source]")
    desk.ask("copy")
    desk.wait_for_takes(1)
    source, take = desk.look("retimbre.lanes.all.map(({ buffer }) => buffer.length)")
    assert source == take == round(2 * desk.look("retimbre.player.context.sampleRate"))
    assert desk.page.locator("#history-list .past").count() == 1


def test_a_selection_that_was_dragged_is_what_is_sent(desk, region):
    desk.load(region)
    box = desk.page.locator("#source-wave").bounding_box()
    desk.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 40)
    desk.page.mouse.down()
    desk.page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 40, steps=4)
    desk.page.mouse.up()
    desk.page.wait_for_function("() => retimbre.panel.selection.length > 0")
    desk.ask("copy")
    desk.wait_for_takes(1)
    edit = desk.bodies("edit")[0]
    assert (edit["start"], edit["length"]) == (
        pytest.approx(0.5, abs=0.02),
        pytest.approx(1, abs=0.03),
    )
    assert float(desk.page.input_value("#length")) == edit["length"]


def test_a_blend_sends_the_mixture(desk, region):
    desk.load(region)
    desk.page.click("[data-name=harp][data-column='0']")
    desk.page.click("[data-name=pan_flute][data-column='1']")
    sliders = desk.page.locator("#mixture input")
    sliders.nth(0).fill("0.7")
    sliders.nth(1).fill("0.3")
    desk.page.click("#ask button")
    desk.wait_for_takes(1)
    assert desk.bodies("edit")[0]["preset"] == "harp 0.7 pan_flute 0.3"
    assert desk.page.locator("#mixture output").all_inner_texts() == ["70 %", "30 %"]


def test_styles_of_another_model_cannot_join_a_blend(desk):
    listed = [row["model"] for row in desk.look("retimbre.presets.all")]
    # those that are ready come first
    assert listed == sorted(listed, key=lambda model: model != "nano")
    desk.page.click("[data-name=harp][data-column='0']")
    others = desk.look(
        "retimbre.presets.all.filter(({ model }) => model !== 'nano').map(({ name }) => name)"
    )
    enabled = [
        desk.page.locator(f"[data-name={name}][data-column='1']").is_enabled()
        for name in [*others, "banjo"]
    ]
    assert enabled == [False] * len(others) + [True]


def test_only_knobs_that_were_turned_are_sent(desk, region):
    desk.load(region)
    desk.page.fill("#knob-strength", "0.5")
    desk.page.fill("#seed", "7")
    desk.ask("copy")
    desk.wait_for_takes(1)
    edit = desk.bodies("edit")[0]
    assert {key: edit[key] for key in edit if key not in ("id", "audio")} == {
        "text": "copy",
        "strength": 0.5,
        "seed": 7,
        "preset": "",
        "start": 0,
        "length": 0,
    }
    assert "seed 7 · strength 0.5" in desk.page.inner_text("#history-list")


def test_a_list_of_styles_is_searched(desk):
    desk.page.fill("#style-search", "flute concert")
    assert desk.page.locator("#style-list li").count() == 1
    desk.page.fill("#style-search", "no such thing")
    assert desk.page.locator("#style-none").is_visible()


def test_progress_is_shown_and_escape_cancels(desk, region):
    desk.load(region)
    desk.ask("slow 200")
    desk.page.wait_for_selector(".job:has-text('generating')")
    desk.page.wait_for_selector(".job progress[value]")
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_selector(".job", state="detached")
    assert desk.page.locator("[role=alert]").count() == 0
    assert desk.page.locator("#lanes .lane").count() == 1


def test_an_error_is_shown_with_its_cure_until_the_next_attempt(desk, region):
    desk.load(region)
    desk.ask("fail bad_audio")
    desk.page.wait_for_selector("[role=alert][data-code=bad_audio]:has-text('as you wished')")
    desk.ask("copy")
    desk.wait_for_takes(1)
    assert desk.page.locator("[role=alert]").count() == 0


def test_what_is_missing_is_said(desk, region):
    desk.ask("a violin")
    desk.page.wait_for_selector("[role=alert]:has-text('Drop a file')")
    desk.load(region)
    desk.ask("")
    desk.page.wait_for_selector("[role=alert][data-code=bad_args]:has-text('expected what to do')")
    desk.errors.clear()  # Chromium notes each answer of 400


def test_the_whole_job_needs_no_mouse(desk, region):
    keys = desk.page.keyboard
    desk.page.on("filechooser", lambda chooser: chooser.set_files(region))
    keys.press("?")  # a moment for the browser to hand choosers over
    keys.press("Escape")
    keys.press("o")
    desk.page.wait_for_selector("[data-lane=source]")
    keys.press("f")
    keys.type("banjo")
    keys.press("ArrowDown")
    keys.press("Enter")
    assert desk.look("retimbre.store.get('mixture')") == [{"name": "banjo", "weight": 1}]
    keys.press("w")
    keys.type("copy")
    keys.press("Enter")
    desk.wait_for_takes(1)
    keys.press("Escape")
    keys.press("r")
    desk.wait_for_takes(2)
    keys.press(" ")
    desk.page.wait_for_function(
        "() => retimbre.player.isPlaying && retimbre.player.position > 0.05"
    )
    for key, lane in {"a": 0, "1": 1, "2": 2, "0": 0, "b": 2}.items():
        keys.press(key)
        assert (
            desk.look("retimbre.lanes.all.findIndex(({ id }) => id === retimbre.player.audible)")
            == lane
        )
    keys.press(" ")
    assert not desk.look("retimbre.player.isPlaying")
    keys.press("Home")
    keys.press("ArrowRight")
    assert desk.look("retimbre.player.position") == 1
    keys.press("[")
    assert desk.look("retimbre.panel.selection") == {"start": 1, "length": 0}


def test_again_takes_another_seed(desk, region):
    desk.load(region)
    desk.ask("copy")
    desk.wait_for_takes(1)
    desk.page.click("[aria-label^='Again with another seed']")
    desk.wait_for_takes(2)
    again = desk.bodies("again")[0]
    assert (again["old_id"], again["seed"]) == (desk.bodies("edit")[0]["id"], -1)
    assert len(set(desk.look("retimbre.takes.all.map(({ seed }) => seed)"))) == 2


def test_a_take_is_downloaded_under_a_telling_name(desk, region, tmp_path):
    desk.load(region)
    desk.page.fill("#seed", "5")
    desk.ask("copy")
    desk.wait_for_takes(1)
    with desk.page.expect_download() as download:
        desk.page.click("[aria-label^=Download]")
    assert download.value.suggested_filename == "loop-copy-5.wav"
    assert download.value.path().read_bytes() == region.read_bytes()


def test_the_real_model_gives_stems_of_the_selection(open_desk, real_studio, region):
    desk = open_desk(real_studio.origin).open()
    desk.load(region)
    desk.select_part(0.25, 1.2)
    desk.page.click("[data-name=harp][data-column='0']")
    desk.page.click("#ask button")
    desk.wait_for_takes(1)
    with desk.page.expect_download() as download:
        desk.page.keyboard.press("d")
    stem = soundfile.info(download.value.path())
    assert (stem.samplerate, stem.channels, stem.frames) == (44_100, 2, round(1.2 * 44_100))
    source, take = desk.look("retimbre.lanes.all.map(({ buffer }) => buffer.duration)")
    assert source == pytest.approx(take, abs=1e-4)
