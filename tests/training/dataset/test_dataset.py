"""From a folder of recordings to clips with captions and splits; each trap of other tools has its
test.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.dataset import caption, check, cli, clips, cut, layouts, near, split
from training.dataset.cache import Cache
from training.dataset.clips import Clip, DataError

pytest.importorskip("librosa")

RATE_HZ = 16_000


def tune(seed, seconds=6.0, rate_hz=RATE_HZ):
    """Decaying notes of random pitch and length."""
    random, parts, left = np.random.default_rng(seed), [], int(seconds * rate_hz)
    while left > 0:
        count = min(left, int(random.uniform(0.15, 0.5) * rate_hz))
        time = np.arange(count) / rate_hz
        hz = random.choice([220, 247, 262, 294, 330, 392, 440, 523])
        tone = sum(np.sin(2 * np.pi * hz * partial * time) / partial for partial in (1, 2, 3))
        parts.append(0.2 * np.exp(-4 * time) * tone)
        left -= count
    return np.concatenate(parts).astype(np.float32)


def write(folder: Path, name, samples, rate_hz=RATE_HZ, text=None):
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / name, samples, rate_hz)
    if text is not None:
        (folder / name).with_suffix(".txt").write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture
def folder(tmp_path):
    for seed in range(4):
        write(tmp_path / "data", f"{seed}.wav", tune(seed), text=f"tune number {seed}")
    return tmp_path / "data"


# -- layouts --


def test_each_layout_is_read_with_its_captions(tmp_path):
    sound = tune(0, 1.0)
    audiofolder, crafted, ace, triples, sidecars = (tmp_path / name for name in "abcde")
    write(audiofolder / "train", "x.wav", sound)
    (audiofolder / "train" / "metadata.csv").write_text(
        "file_name,text,bpm\nx.wav,a tune,90\n", encoding="utf-8"
    )
    write(crafted, "x.wav", sound)
    with gzip.open(crafted / "data.jsonl.gz", "wt") as file:
        file.write(json.dumps({"path": "x.wav", "duration": 1.0, "sample_rate": RATE_HZ}) + "\n")
    about = {"description": "a tune", "bpm": 90, "artist": "B", "moods": ["sad", "slow"]}
    (crafted / "x.json").write_text(json.dumps(about), encoding="utf-8")
    write(ace, "x.wav", sound)
    data = {
        "metadata": {"custom_tag": "zzq", "tag_position": "append"},
        "samples": [{"audio_path": "x.wav", "caption": "a tune", "bpm": 90, "keyscale": "A minor"}],
    }
    (ace / "dataset.json").write_text(json.dumps(data), encoding="utf-8")
    write(triples, "x.mp3", sound)
    (triples / "x_prompt.txt").write_text("a tune", encoding="utf-8")
    (triples / "x_lyrics.txt").write_text("la la", encoding="utf-8")
    write(sidecars, "x.ogg", sound, text="caption: a tune\nbpm: 90\nsignature: 4/4")

    found = {
        name: layouts.read(place)[0][0]
        for name, place in {
            "audiofolder": audiofolder,
            "audiocraft": crafted,
            "ace_step": ace,
            "ace_step_1": triples,
            "files": sidecars,
        }.items()
    }
    assert {clip.text for name, clip in found.items() if name != "ace_step"} == {"a tune"}
    assert found["ace_step"].text == "a tune, zzq"
    assert found["audiofolder"].split == "train" and found["audiocraft"].artist == "B"
    assert (
        found["audiocraft"].tags["moods"] == "sad, slow"
        and found["ace_step"].tags["key"] == "A minor"
    )
    assert found["ace_step_1"].tags["lyrics"] == "la la" and found["files"].tags["metre"] == "4/4"


def test_a_list_of_ours_comes_back_as_it_was_written_and_corrections_beside_the_sound_win(folder):
    before, _ = layouts.read(folder)
    clips.write_list(
        [Clip(clip.path, clip.text, "t", "a", "test", {"bpm": "90"}) for clip in before], folder
    )
    assert layouts.read(folder)[0][0] == Clip(
        folder / "0.wav", "tune number 0", "t", "a", "test", {"bpm": "90"}
    )
    (folder / "0.txt").write_text("corrected", encoding="utf-8")
    assert layouts.read(folder)[0][0].text == "corrected"


def test_nothing_found_says_what_lies_there_instead_of_loading_none(tmp_path):
    (tmp_path / "x.m4a").write_bytes(b"")
    with pytest.raises(DataError, match=r"no_sounds.*1 x \.m4a.*metadata\.jsonl"):
        layouts.read(tmp_path)
    with pytest.raises(DataError, match="no_folder"):
        layouts.read(tmp_path / "none")


# -- check --


def test_every_bad_file_is_named_with_its_reason(folder, capsys):
    write(folder, "silent.wav", np.zeros(2 * RATE_HZ), text="x")
    write(folder, "short.wav", tune(5, 0.3), text="x")
    write(folder, "wordless.wav", tune(6))
    write(folder, "clipped.wav", np.clip(20 * tune(7), -1, 1), text="x")
    (folder / "broken.flac").write_bytes(b"fLaC rubbish")
    (folder / "broken.txt").write_text("x", encoding="utf-8")
    (folder / "copy.wav").write_bytes((folder / "0.wav").read_bytes())
    (folder / "copy.txt").write_text("x", encoding="utf-8")
    found = {(problem.path.name, problem.code) for problem in check.check(folder).problems}
    assert found == {
        ("silent.wav", "silent"),
        ("short.wav", "too_short"),
        ("wordless.wav", "no_caption"),
        ("clipped.wav", "clipped"),
        ("broken.flac", "unreadable"),
        ("copy.wav", "copy"),
    }
    assert cli.main(["check", str(folder)]) == 1
    assert "refused: 5 files" in capsys.readouterr().out


def test_a_good_folder_is_good_and_the_sums_are_told(folder, capsys):
    assert cli.main(["check", str(folder)]) == 0
    assert "4 clips of 4 recordings, 0.4 minutes" in capsys.readouterr().out


def test_a_quieter_ogg_from_the_middle_is_a_near_copy_and_another_tune_is_not(folder):
    write(folder, "again.ogg", 0.3 * tune(1)[RATE_HZ:], text="x")
    found = [problem for problem in check.check(folder).problems if problem.code == "near_copy"]
    assert [(problem.path.name, problem.detail[:10]) for problem in found] == [
        ("again.ogg", "like 1.wav")
    ]


def test_likeness_is_about_unrest_not_about_the_instrument():
    prints = [near.print_of(tune(seed), RATE_HZ) for seed in range(3)]
    assert near.likeness(prints[0], prints[0]) > 0.99
    assert max(near.likeness(prints[0], prints[1]), near.likeness(prints[1], prints[2])) < 0.6
    steady = near.print_of(np.full(RATE_HZ, 0.1, np.float32), RATE_HZ)
    assert (
        near.likeness(steady, steady) == 0
        and near.likeness(prints[0], near.print_of(np.zeros(9), RATE_HZ)) == 0
    )


# -- cut --


def test_clips_end_at_the_last_pause_or_beat_of_their_last_fifth_and_a_short_rest_is_left_out():
    assert cut.boundaries(33, 10, 0, [7, 9, 10, 17, 25]) == [(0, 10), (10, 20), (20, 30)]
    assert cut.boundaries(38, 10, 0, [8, 17, 26]) == [(0, 8), (8, 17), (17, 26), (26, 36)]
    assert cut.boundaries(28, 10, 0, []) == [(0, 10), (10, 20), (20, 28)]
    assert cut.boundaries(28, 10, 2, []) == [(0, 10), (8, 18), (16, 26), (24, 28)][:3]


def test_recordings_become_clips_of_one_loudness_with_track_and_words(tmp_path):
    import pyloudnorm

    quiet = 0.05 * tune(1, 10.0)
    quiet[4 * RATE_HZ : 5 * RATE_HZ] = 0
    write(tmp_path / "in", "quiet.wav", np.concatenate([np.zeros(RATE_HZ), quiet]), text="a tune")
    write(tmp_path / "in", "tiny.wav", tune(2, 0.3))
    result = cut.cut(
        tmp_path / "in", tmp_path / "out", cut.Settings(seconds=5.0, loudness_lufs=-20.0)
    )
    found, layout = layouts.read(tmp_path / "out")
    assert layout == "audiofolder" and [clip.track for clip in found] == ["quiet", "quiet"]
    assert {clip.text for clip in found} == {"a tune"} and any(
        "tiny" in note for note in result.notes
    )
    first, _ = clips.samples_of(found[0])
    assert abs(len(first) / RATE_HZ - 4.5) < 0.11  # from the first sound to the middle of the pause
    whole = np.concatenate([clips.samples_of(clip)[0] for clip in found])
    assert pyloudnorm.Meter(RATE_HZ).integrated_loudness(whole) == pytest.approx(-20, abs=1)
    with pytest.raises(DataError, match="nothing is overwritten"):
        cut.cut(tmp_path / "in", tmp_path / "out")


def test_silence_and_sounds_below_a_block_have_no_loudness_and_are_left_alone():
    for samples in (np.zeros((RATE_HZ, 1), np.float32), np.ones((100, 2), np.float32)):
        same, note = cut._at_loudness(samples, RATE_HZ, -16.0)
        assert np.array_equal(same, samples) and "its level stays" in note


def test_cutting_by_beat_cuts_at_beats(tmp_path):
    clicks = np.zeros(12 * RATE_HZ, np.float32)
    for beat in range(24):
        clicks[beat * RATE_HZ // 2 :][:400] = 0.5 * np.hanning(400) * np.sin(np.arange(400))
    write(tmp_path / "in", "clicks.wav", clicks)
    cut.cut(
        tmp_path / "in", tmp_path / "out", cut.Settings(seconds=5.2, by="beat", loudness_lufs=None)
    )
    starts = [float(clip.tags["start_seconds"]) for clip in layouts.read(tmp_path / "out")[0]]
    assert len(starts) == 2 and abs(starts[1] * 2 - round(starts[1] * 2)) < 0.15


# -- captions --


def test_tempo_and_key_go_into_the_caption_once_however_often_it_is_made(folder):
    settings = caption.Settings(trigger="zzq")
    once = caption.caption(folder, settings)
    again = caption.caption(folder, settings)
    assert [clip.text for clip in once] == [clip.text for clip in again]
    assert once[0].text.startswith("zzq, tune number 0, ") and "BPM" in once[0].text
    (folder / "0.txt").write_text("a fiddle", encoding="utf-8")
    assert caption.caption(folder, settings)[0].text.startswith("zzq, a fiddle, ")
    assert (folder / "0.txt").read_text(encoding="utf-8").startswith("zzq, a fiddle, ")


def test_what_a_model_hears_itself_can_be_left_unsaid():
    said = [
        "steel drums, 70 BPM, A minor",
        "steel drums, 172 BPM, F# major",
        "loud steel drums, slowly",
    ]
    assert (
        caption.without_tempo_and_key(said[1]) == "steel drums"
        and caption.without_tempo_and_key(said[2]) == said[2]
    )
    assert caption.most_common_sound(said) == "steel drums"


def test_a_place_without_a_value_leaves_its_part_out_and_an_unknown_place_is_refused(folder):
    clip = Clip(folder / "x.wav", tags={"words": "an organ", "genre": "blues"})
    assert caption.describe(
        clip, caption.Settings(templates=("{genre}: {words}, in {key}",), hear=False)
    ).text == ("blues: an organ")
    with pytest.raises(DataError, match="bad_template"):
        caption.caption(folder, caption.Settings(templates=("{tempo}",)))


# -- split --


def test_clips_of_one_recording_and_of_one_artist_stay_together():
    tracks = [
        Clip(Path(f"{track}{part}.wav"), "x", f"t{track}", artist="A" if track in (0, 5) else "")
        for track in range(8)
        for part in range(3)
    ]
    decided = split.assign(tracks, {clip.path: 10.0 for clip in tracks})
    homes = {clip.track: clip.split for clip in decided}
    assert len({(clip.track, clip.split) for clip in decided}) == 8 and homes["t0"] == homes["t5"]
    assert set(homes.values()) == {"train", "validation", "test"}
    assert decided == split.assign(tracks, {clip.path: 10.0 for clip in tracks})
    assert decided != split.assign(tracks, {clip.path: 10.0 for clip in tracks}, seed=1)
    with pytest.raises(DataError, match="too_few_tracks"):
        split.assign(tracks[:3], {clip.path: 10.0 for clip in tracks})


def test_leaks_and_near_copies_are_refused(folder):
    split.split(folder)
    assert len(split.parts(folder)["train"]) == 2
    found, _ = layouts.read(folder)
    clips.write_list(
        [Clip(clip.path, clip.text, "same", split=clip.split) for clip in found], folder
    )
    with pytest.raises(DataError, match="leak.*track 'same'"):
        split.parts(folder)
    write(folder, "again.ogg", 0.3 * tune(1), text="x")
    (folder / "metadata.jsonl").unlink()
    with pytest.raises(DataError, match="near_copy.*again.ogg"):
        split.split(folder)


def test_a_folder_without_split_is_sent_to_the_command(folder):
    with pytest.raises(DataError, match="retimbre data split"):
        split.parts(folder)


# -- cache --


def test_a_value_is_computed_once_until_sound_or_recipe_change_and_old_ones_are_pruned(
    folder, tmp_path
):
    cache = Cache(tmp_path / "cache", {"codec": "1"})
    value = {"codes": np.arange(3)}
    for _ in range(2):
        assert np.array_equal(
            cache.of_sound(folder / "0.wav", lambda: value)["codes"], value["codes"]
        )
    assert (cache.made, cache.found) == (1, 1)
    other = Cache(tmp_path / "cache", {"codec": "2"})
    other.of_sound(folder / "0.wav", lambda: value)
    write(folder, "0.wav", tune(9))
    other.of_sound(folder / "0.wav", lambda: value)
    assert other.made == 2 and other.prune() == 1
    other = Cache(tmp_path / "cache", {"codec": "3"})
    other.of_sound(folder / "0.wav", lambda: value)
    assert other.prune() == 2
    (file,) = (tmp_path / "cache").glob("*.npz")
    file.write_bytes(file.read_bytes()[:50])
    other.of_sound(folder / "0.wav", lambda: value)
    assert other.made == 2


def test_the_command_says_what_failed_and_imports_another_layout(folder, tmp_path, capsys):
    assert cli.main(["split", str(tmp_path / "none")]) == 1
    assert "no_folder" in capsys.readouterr().err
    assert cli.main(["import", str(folder), "--target", str(tmp_path / "list")]) == 0
    assert len(layouts.read(tmp_path / "list")[0]) == 4
