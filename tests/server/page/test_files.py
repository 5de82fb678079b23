import numpy as np
import pytest
import soundfile

RATE_HZ = 22_050
FORMATS = [
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "FLOAT"),
    ("flac", "PCM_24"),
    ("aiff", "PCM_16"),
    ("aiff", "PCM_24"),
    ("aiff", "PCM_32"),
    ("aiff", "FLOAT"),
    ("mp3", None),
    ("ogg", None),
]
SENT_AS = {"mp3": "wav", "ogg": "wav"}  # what the server does not read is decoded in the browser


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_audio_of_many_formats_is_opened(bench, tmp_path, kind, subtype):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE_HZ // 2, 2))
    path = tmp_path / f"{subtype} noise.{kind}"
    soundfile.write(path, samples, RATE_HZ, subtype=subtype, format=kind)
    bench.load(path)
    assert bench.look("retimbre.panel.source.buffer.duration") == pytest.approx(0.5, abs=0.06)
    assert bench.look("retimbre.panel.source.buffer.numberOfChannels") == 2
    assert bench.look("retimbre.panel.source.handle").endswith(SENT_AS.get(kind, kind))


@pytest.mark.parametrize(
    ("subtype", "endian"),
    [
        ("PCM_S8", "FILE"),
        ("PCM_16", "FILE"),
        ("PCM_16", "BIG"),
        ("PCM_16", "LITTLE"),
        ("PCM_24", "FILE"),
        ("PCM_24", "BIG"),
        ("PCM_32", "FILE"),
        ("PCM_32", "BIG"),
        ("FLOAT", "FILE"),
    ],
)
def test_aiff_is_read_to_the_last_bit(bench, tmp_path, subtype, endian):
    samples = np.array([0.0, 0.5, -0.5, -1.0, 0.25])
    path = tmp_path / "few.aiff"
    soundfile.write(path, samples, 44_100, subtype=subtype, endian=endian)
    read = bench.look(
        """async (bytes) => {
        const { decodeAiff } = await import("/page/modules/aiff.js");
        const { channels, rate } = decodeAiff(Uint8Array.from(bytes).buffer);
        return [rate, Array.from(channels[0])];
    }""",
        list(path.read_bytes()),
    )
    assert read == [44_100, list(soundfile.read(path)[0])]


def test_what_is_no_audio_is_refused_with_a_cure(desk, tmp_path):
    path = tmp_path / "letter.wav"
    path.write_bytes(b"Dear producer, " * 40)
    desk.page.set_input_files("#file", path)
    desk.page.wait_for_selector("[role=alert]:has-text('export it again as WAV')")


def test_a_recording_becomes_the_source(desk):
    """Chromium's own test input: a beep each half second."""
    desk.page.click("#record")
    desk.page.wait_for_function(
        "() => retimbre.panel._recorder.isRecording && retimbre.panel._recorder.seconds > 0.8"
    )
    desk.page.keyboard.press("c")
    desk.page.wait_for_selector("[data-lane=source]")
    assert 0.5 < desk.look("retimbre.panel.source.buffer.duration") < 5
    peak = "Math.max(...retimbre.panel.source.buffer.getChannelData(0).slice(0, 100000))"
    assert desk.look(peak) > 0.01
    assert desk.look("retimbre.panel.source.handle").endswith("wav")
