"""The second start reads the graph as the first one has optimised it."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper

from engine.runtimes.runner import open_optimised

LAYERS = 200  # so many that the lengths of their rows are above a kilobyte


@pytest.fixture
def path(tmp_path):
    """Rows of one input, each picked by a node of its own, as packed styles are: ONNX Runtime cuts
    them at once.
    """
    index = [
        numpy_helper.from_array(np.array(row, np.int64), f"row_{row}") for row in range(LAYERS)
    ]
    nodes = [
        helper.make_node("Gather", ["packed", f"row_{row}"], [f"factor_{row}"], axis=0)
        for row in range(LAYERS)
    ]
    nodes.append(helper.make_node("Sum", [f"factor_{row}" for row in range(LAYERS)], ["y"]))
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("packed", (LAYERS, "R", 4)), ("y", ("R", 4)))
    ]
    graph = helper.make_graph(nodes, "styles", *ports, index)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "g.onnx",
    )
    return tmp_path / "g.onnx"


def test_a_second_start_reads_what_the_first_one_has_written(path):
    packed = np.random.default_rng(0).standard_normal((LAYERS, 3, 4)).astype(np.float32)
    for _ in range(2):
        (found,) = open_optimised(onnxruntime, path, 1).run(None, {"packed": packed})
        np.testing.assert_allclose(found, packed.sum(axis=0), rtol=1e-4, atol=1e-4)
    assert len(list(path.parent.glob("g.*/optimised.onnx"))) == 1
