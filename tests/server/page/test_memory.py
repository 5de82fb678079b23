import pytest

from tests.server.page.studio import Studio, double


def lanes(desk):
    return desk.look("retimbre.lanes.all.map(({ title }) => title)")


def test_a_reload_changes_nothing(desk, region):
    desk.load(region)
    desk.select_part(0.5, 1)
    desk.page.fill("#knob-guidance", "3")
    desk.page.click("[data-name=harp][data-column='0']")
    desk.ask("copy")
    desk.wait_for_takes(1)
    before = lanes(desk)
    desk.page.reload()
    desk.wait_for_takes(1)
    assert lanes(desk) == before
    assert desk.page.input_value("#start") == "0.5" and desk.page.input_value("#length") == "1"
    assert desk.page.input_value("#words") == "copy"
    assert desk.page.input_value("#knob-guidance") == "3"
    assert desk.page.locator("#history-list .past").count() == 1
    desk.page.click("#ask button")
    desk.wait_for_takes(2)


def test_a_job_that_ends_after_a_reload_is_shown(desk, region):
    desk.load(region)
    desk.ask("slow 30")
    desk.page.wait_for_selector(".job")
    desk.page.reload()
    desk.wait_for_takes(1)


def test_undo_and_redo_go_through_the_takes(desk, region):
    desk.load(region)
    desk.ask("copy first")
    desk.wait_for_takes(1)
    desk.select_part(0.5, 1)
    desk.ask("copy second")
    desk.page.wait_for_function(
        "() => retimbre.takes.all.length === 2 && retimbre.lanes.all.length === 2"
    )
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.keyboard.press("Control+z")
    desk.page.wait_for_selector("#history-list [aria-current]:has-text('first')")
    desk.page.wait_for_function("() => retimbre.lanes.audible?.title.includes('first')")
    assert desk.page.input_value("#words") == "copy first"
    assert desk.look("retimbre.panel.selection") == {"start": 0, "length": 0}
    desk.page.keyboard.press("Control+Shift+z")
    desk.page.wait_for_function("() => retimbre.lanes.audible?.title.includes('second')")
    assert desk.look("retimbre.panel.selection") == {"start": 0.5, "length": 1}


def test_the_history_leads_back_to_another_file(desk, region, tmp_path):
    other = tmp_path / "other.wav"
    other.write_bytes(region.read_bytes())
    desk.load(region)
    desk.ask("copy first")
    desk.wait_for_takes(1)
    desk.load(other)
    desk.page.click("#history-list .past")
    desk.page.wait_for_function("() => retimbre.lanes.audible?.take")
    assert desk.look("retimbre.panel.source.name") == region.name


def test_the_settings_of_a_take_come_back_with_its_seed(desk, region):
    desk.load(region)
    desk.page.fill("#knob-strength", "0.4")
    desk.ask("copy")
    desk.wait_for_takes(1)
    desk.page.fill("#words", "something else")
    desk.page.click("#knobs .knob.turned button")
    desk.page.click("[aria-label^='Bring words']")
    assert desk.page.input_value("#words") == "copy"
    assert desk.page.input_value("#knob-strength") == "0.4"
    assert int(desk.page.input_value("#seed")) == desk.look("retimbre.takes.all[0].seed")


@pytest.fixture
def own_studio(tmp_path):
    """A server of this test alone."""
    studio = Studio(tmp_path, double)
    studio.start()
    yield studio
    studio.stop()


def test_a_server_that_is_killed_and_started_again_loses_nothing(open_desk, own_studio, region):
    desk = open_desk(own_studio.origin).open()
    desk.lost_connection = True
    desk.load(region)
    desk.ask("copy")
    desk.wait_for_takes(1)
    desk.ask("slow 400")
    desk.page.wait_for_selector(".job:has-text('generating')")
    desk.ask("copy what waits")
    desk.page.wait_for_selector(".job:has-text('1 ahead')")
    own_studio.kill()
    desk.page.wait_for_selector("#server[data-state=lost]")
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_selector("[role=alert][data-code=unreachable]:has-text('retimbre serve')")
    own_studio.start()
    desk.page.wait_for_selector(".notice:has-text('was restarted')")
    desk.page.wait_for_selector("[role=alert][data-code=interrupted] button:has-text('Try again')")
    desk.wait_for_takes(2)
    assert desk.page.locator("#history-list .past").count() == 2


def test_an_upload_that_the_server_has_forgotten_is_sent_again(open_desk, own_studio, region):
    desk = open_desk(own_studio.origin).open()
    desk.lost_connection = True  # Chromium notes answers of 404
    desk.load(region)
    forget_uploads(own_studio)
    desk.ask("copy")
    desk.wait_for_takes(1)
    forget_uploads(own_studio)
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.keyboard.press("r")
    desk.wait_for_takes(2)
    desk.page.click("#history-list li:last-child .past")
    desk.page.wait_for_function("() => retimbre.lanes.audible === retimbre.lanes.all[1]")


def forget_uploads(studio):
    for upload in studio.data_dir.rglob("uploads/*.wav"):
        upload.unlink()
