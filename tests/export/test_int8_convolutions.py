"""Convolutions in int8 are near the real ones at any loudness; what does not pay stays as it is."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
resnet = pytest.importorskip("diffusers.models.resnet")

from export.int8_convolutions import convolutions, gains, quantise_convolutions
from export.onnx_graph import export_stage
from export.parity import relative_error


class Net(torch.nn.Module):
    """diffusers' own block between a narrow convolution and two in a row, the last without bias."""

    def __init__(self):
        super().__init__()
        self.narrow = torch.nn.Conv2d(3, 32, 3, padding=1)
        self.block = resnet.ResnetBlock2D(
            in_channels=32, out_channels=48, temb_channels=None, groups=16
        )
        self.down = torch.nn.Conv2d(48, 32, 3, stride=2, padding=1)
        self.out = torch.nn.Conv2d(32, 32, 1, bias=False)

    def forward(self, x):
        return self.out(self.down(self.block(self.narrow(x), None)))


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    export_stage(
        Net(),
        (torch.randn(1, 3, 16, 8),),
        path,
        ["x"],
        ["y"],
        {"x": {0: "B", 2: "T"}, "y": {0: "B", 2: "T"}},
    )
    return path


def sound(seed, frames=24):
    return np.random.default_rng(seed).standard_normal((2, 3, frames, 8)).astype(np.float32)


def run(model, x):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


def test_the_range_follows_the_sound_and_bias_is_kept(graph, tmp_path):
    model, small = onnx.load(str(graph)), onnx.load(str(graph))
    found = gains(model, [{"x": sound(0)}], tmp_path)
    assert len(found) == len(convolutions(model.graph)) == 5 and min(found.values()) > 0
    quantise_convolutions(small, found)
    onnx.checker.check_model(small)
    for loudness in (0.01, 1.0, 100.0):  # the gains were measured at 1, and on another length
        x = loudness * sound(1, frames=40)
        assert 0 < relative_error(run(small, x), run(model, x)) < 0.05


def test_a_narrow_convolution_stays_and_float_weights_go(graph, tmp_path):
    model = onnx.load(str(graph))
    quantise_convolutions(model, gains(model, [{"x": sound(0)}], tmp_path))
    kinds = [node.op_type for node in model.graph.node]
    assert (kinds.count("Conv"), kinds.count("QLinearConv")) == (1, 5)
    floats = [
        tensor
        for tensor in model.graph.initializer
        if len(tensor.dims) == 4 and tensor.data_type == 1
    ]
    # those with one row are biases
    assert {tensor.dims[1] for tensor in floats if tensor.dims[0] > 1} == {3}


def test_without_gains_nothing_changes(graph):
    model, same = onnx.load(str(graph)), onnx.load(str(graph))
    quantise_convolutions(same, {})
    assert same == model


def test_convolutions_that_are_too_coarse_in_int8_stay_in_float32(tmp_path, monkeypatch):
    from engine.runtimes.exported import open_for_parity
    from engine.stages import Port, Stage
    from export import build, parity
    from export.plan import Plan, StageExport

    torch.manual_seed(0)
    net = Net().eval()
    stage = Stage("net", (Port("x", ("B", 3, "T", 8)),), (Port("y", ("B", 32, "U", 4)),))

    def write(path):
        export_stage(net, (torch.zeros(1, 3, 16, 8),), path, ["x"], ["y"], stage.dynamic_axes)

    def model(x):
        return (net(torch.from_numpy(x)).detach().numpy(),)

    part = StageExport(
        stage,
        write,
        model,
        [{"x": sound(0)}, {"x": sound(1, 40)}],
        is_step=True,
        quantises_convolutions=True,
    )
    plan = Plan("net", [part], lambda own: own["net"](x=sound(2))[0], {}, {}, {})
    for bound, kind in ((0.05, "QLinearConv"), (1e-4, "Conv")):
        monkeypatch.setitem(parity.STAGE_BOUND, "int8", bound)
        folder = build.build(plan, tmp_path / kind, "int8", open_for_parity(1))
        nodes = onnx.load(str(folder / "net.onnx")).graph.node
        assert {node.op_type for node in nodes if "Conv" in node.op_type} == {"Conv", kind}
