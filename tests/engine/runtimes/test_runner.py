"""Graphs run as the stage table says, or say why they do not."""

import numpy as np
import pytest

from engine.errors import EngineError
from engine.families.nano.stages import STAGES
from engine.runtimes.runner import OnnxRunner, threads_for
from engine.runtimes.sessions import session_options
from engine.stages import Port, Stage

pytest.importorskip("onnxruntime")
DECODER = next(stage for stage in STAGES if stage.name == "latent_decoder")


def code_and_text(caught):
    return caught.value.code, caught.value.message


def test_a_stage_answers_in_the_order_of_its_table(tiny_weights):
    run = OnnxRunner(DECODER, tiny_weights / "latent_decoder.onnx", threads=1)
    shapes = [part.shape for part in run(latent=np.zeros((1, 7, 48)))]
    assert shapes == [(1, 28, 641), (1, 28, 641), (1, 28, 478), (1, 28, 478)]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EngineError) as caught:
        OnnxRunner(DECODER, tmp_path / "gone.onnx", 1).load()
    code, text = code_and_text(caught)
    assert code == "not_ready" and "gone.onnx" in text


def test_a_file_that_is_no_graph_is_damaged(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError) as caught:
        OnnxRunner(DECODER, tmp_path / "a.onnx", 1).load()
    assert caught.value.code == "model_damaged"


def test_a_graph_that_is_not_the_released_one_is_damaged(tiny_weights):
    with pytest.raises(EngineError) as caught:
        OnnxRunner(DECODER, tiny_weights / "latent_decoder.onnx", 1, sha256="0" * 64).load()
    code, text = code_and_text(caught)
    assert code == "model_damaged" and "install retimbre again" in text


def test_a_graph_of_another_signature_is_refused(tiny_weights):
    other = Stage("other", (Port("x", ("B",)),), (Port("y", ("B",)),))
    with pytest.raises(EngineError, match="stage table"):
        OnnxRunner(other, tiny_weights / "latent_decoder.onnx", 1).load()


def test_dynamic_axes_come_from_the_letters():
    assert DECODER.dynamic_axes["latent"] == {0: "B", 1: "T"}
    assert DECODER.output_names == ("log_magnitude", "phase", "log_amplitude", "offset")


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 2), (4, 3), (8, 7), (64, 8)])
def test_threads_are_as_asked_or_leave_a_core_to_the_daw(monkeypatch, cores, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    assert (threads_for(), threads_for(3)) == (threads, 3)


def test_threads_sleep_when_idle():
    import onnxruntime

    options = session_options(onnxruntime, 2)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_second_session_is_built_from_the_graph_as_it_was_optimised(tiny_weights, tmp_path):
    path = tmp_path / "latent_decoder.onnx"
    path.write_bytes((tiny_weights / "latent_decoder.onnx").read_bytes())
    latent = np.random.default_rng(0).standard_normal((1, 7, 48))
    plain = OnnxRunner(DECODER, path, 1)(latent=latent)
    first = OnnxRunner(DECODER, path, 1, keeps_optimised=True)(latent=latent)
    (kept,) = tmp_path.glob("latent_decoder.*/optimised.onnx")
    before = kept.stat().st_mtime_ns
    second = OnnxRunner(DECODER, path, 1, keeps_optimised=True)(latent=latent)
    assert kept.stat().st_mtime_ns == before
    for answer in (first, second):
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(answer, plain, strict=True))
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, kept.parent.name])
