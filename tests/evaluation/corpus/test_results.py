"""Results as takes leave them."""

import json

from evaluation.corpus.results import read_results, read_sound
from tests.evaluation.sounds import FILE_RATE_HZ, write_tone

QUICK = ["--only", "chroma,mean_chroma,log_mel,spectral,fad,kld_mfcc"]


def test_takes_are_read_with_the_region_that_was_sent(tmp_path):
    source = write_tone(tmp_path / "song.wav", 440, seconds=3)
    take = tmp_path / "takes" / "7"
    take.mkdir(parents=True)
    write_tone(take / "stem.wav", 440, seconds=1)
    manifest = {
        "input": {"path": str(source), "start_frame": FILE_RATE_HZ, "region_frames": FILE_RATE_HZ},
        "text": "a violin",
        "preset": {"name": "harp"},
        "model": {"name": "nano"},
        "stems": [{"path": "/elsewhere/stem.wav"}],
    }
    (take / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (row,) = read_results(tmp_path / "takes")
    assert (row.name, row.method, row.text) == ("7/stem", "harp", "a violin")
    assert len(read_sound(row.source).samples) == FILE_RATE_HZ
