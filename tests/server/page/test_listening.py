"""The player, sample by sample in an OfflineAudioContext, then in the page."""

import pytest

# A sine of 220 Hz that fits its length exactly; tracks of it are equal, so a switch between them
# must not be heard.
PRELUDE = """
    const { Player } = await import("/page/modules/player.js");
    const rate = 44100, seconds = 1;
    const render = new OfflineAudioContext(1, rate * 2, rate);
    const sine = (frames) => {
        const buffer = render.createBuffer(1, frames, rate);
        const samples = buffer.getChannelData(0);
        samples.forEach((_, i) => { samples[i] = Math.sin(2 * Math.PI * 220 * i / rate); });
        return buffer;
    };
    const at = (time, action) => render.suspend(time).then(() => { action(); render.resume(); });
    const player = new Player(render);
    player.open(seconds);
    player.setLooping(true);
    const errorOf = (rendered, from, until) => {
        const heard = rendered.getChannelData(0);
        const begin = Math.round(player._origin * rate);
        let worst = 0;
        for (let i = Math.round(from * rate); i < until * rate; i++)
            worst = Math.max(
                worst, Math.abs(heard[i] - Math.sin(2 * Math.PI * 220 * (i - begin) / rate)));
        return worst;
    };
"""
INAUDIBLE = 1e-3  # -60 dB: the rounding of start times to samples


def play(bench, script):
    return bench.look("async () => {" + PRELUDE + script + "}")


def test_a_switch_leaves_no_gap(bench):
    assert (
        play(
            bench,
            """
        player.add("a", sine(rate));
        player.add("b", sine(rate));
        await player.play();
        at(0.5, () => player.hear("b"));
        at(0.51, () => player.hear("a"));
        at(0.7, () => player.hear("b"));
        return errorOf(await render.startRendering(), 0.05, 0.95);
    """,
        )
        < INAUDIBLE
    )


def test_a_track_that_joins_while_others_play_is_in_sync(bench):
    assert (
        play(
            bench,
            """
        player.add("a", sine(rate));
        await player.play();
        at(0.3, () => player.add("late", sine(rate)));
        at(0.5, () => player.hear("late"));
        return errorOf(await render.startRendering(), 0.05, 0.95);
    """,
        )
        < INAUDIBLE
    )


@pytest.mark.parametrize("frames", (44_099, 44_100, 44_103))
def test_loops_of_tracks_of_unequal_length_do_not_drift(bench, frames):
    assert (
        play(
            bench,
            f"""
        player.add("a", sine({frames}));
        await player.play();
        return errorOf(await render.startRendering(), 1.1, 1.95);
    """,
        )
        < INAUDIBLE
    )


def test_levels_change_what_is_heard(bench):
    peak = play(
        bench,
        """
        player.add("a", sine(rate), 0.5);
        await player.play();
        const rendered = await render.startRendering();
        return Math.max(...rendered.getChannelData(0).subarray(rate / 2, rate));
    """,
    )
    assert peak == pytest.approx(0.5, abs=0.01)


def test_takes_share_the_clock_of_the_source(desk, region):
    desk.load(region)
    desk.ask("copy")
    desk.wait_for_takes(1)
    desk.look("retimbre.player.play()")
    desk.page.wait_for_function("() => retimbre.player.position > 0.2")
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.keyboard.press("r")
    desk.wait_for_takes(2)
    desk.page.keyboard.press("a")
    origins = "[...retimbre.player.tracks.values()].map(({ voice }) => voice.origin)"
    before = desk.look(origins)
    desk.page.keyboard.press("1")
    assert desk.look("retimbre.player.audible") != "source"
    assert desk.look("retimbre.player.isPlaying")
    assert desk.look(origins) == before == [before[0]] * 3


@pytest.mark.parametrize(
    ("rate_hz", "amplitude", "lufs"),
    ((48_000, 1.0, -3.0), (44_100, 0.1, -23.0), (96_000, 0.1, -23.0)),
)
def test_loudness_of_a_sine_is_that_of_the_standard(bench, rate_hz, amplitude, lufs):
    """BS.1770: a sine of 997 Hz at full scale in one channel measures -3.01 LKFS."""
    measured = bench.look(
        """async ([rate, amplitude]) => {
        const { loudness } = await import("/page/modules/loudness.js");
        const buffer = new AudioBuffer({ length: 2 * rate, numberOfChannels: 1, sampleRate: rate });
        const samples = buffer.getChannelData(0);
        samples.forEach((_, i) => {
            samples[i] = amplitude * Math.sin(2 * Math.PI * 997 * i / rate);
        });
        return loudness(buffer);
    }""",
        [rate_hz, amplitude],
    )
    assert measured == pytest.approx(lufs, abs=0.1)


def test_the_louder_is_made_as_quiet_as_the_quieter(bench):
    levels = bench.look("""async () => {
        const { matchedLevels } = await import("/page/modules/loudness.js");
        return matchedLevels([-14, -20, -Infinity, -50]);
    }""")
    # 12 dB at most
    assert levels == [pytest.approx(10 ** (-12 / 20)), pytest.approx(10 ** (-12 / 20)), 1, 1]


def test_spectrograms_are_drawn_for_source_and_takes(desk, region):
    desk.load(region)
    desk.ask("copy")
    desk.wait_for_takes(1)
    heights = (
        "[...document.querySelectorAll('.lane-canvas')].map(({ offsetHeight }) => offsetHeight)"
    )
    low = desk.look(heights)
    desk.page.click("#spectrogram")
    desk.page.wait_for_function(
        f"low => {heights}.every((height, i) => height > low[i] + 50)", arg=low
    )
    desk.page.click("#spectrogram")
    desk.page.wait_for_function(
        f"low => {heights}.every((height, i) => height === low[i])", arg=low
    )
