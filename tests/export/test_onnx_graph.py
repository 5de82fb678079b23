"""ONNX files are small, and their arithmetic is nearly the module's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from export.onnx_graph import export_stage, quantise, shrink


def run(path, x):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        None, {"x": x}
    )[0]


def test_a_shrunk_graph_is_a_quarter_of_the_size_and_nearly_the_same(tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(128, 512), torch.nn.GELU(), torch.nn.Linear(512, 128))
    path, x = tmp_path / "net.onnx", torch.randn(2, 5, 128)
    export_stage(
        net, (x,), path, ["x"], ["y"], {"x": {0: "batch", 1: "time"}, "y": {0: "batch", 1: "time"}}
    )
    exact, size = run(path, x.numpy()), path.stat().st_size
    np.testing.assert_allclose(exact, net(x).detach().numpy(), atol=1e-5)
    shrink(path)
    assert path.stat().st_size < 0.3 * size
    graph = onnx.load(str(path)).graph
    assert {node.name for node in graph.node if node.op_type == "MatMul"} == {
        "/0/MatMul",
        "/2/MatMul",
    }
    assert "0.bias" in {tensor.name for tensor in graph.initializer}
    other = np.random.default_rng(0).standard_normal((1, 9, 128)).astype(np.float32)
    error = run(path, other) - net(torch.from_numpy(other)).detach().numpy()
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.std(exact)


def test_quantised_codes_give_back_every_channel_within_half_a_step():
    values = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32) * np.logspace(
        -3, 3, 8, dtype=np.float32
    )
    codes, scale = quantise(values, axis=1)
    assert scale.shape == (1, 8)
    assert np.all(np.abs(codes * scale - values) <= scale / 2 * 1.001)
