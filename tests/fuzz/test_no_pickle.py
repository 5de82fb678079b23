"""A pickle runs whatever its author wrote; nothing here opens one as such."""

import ast

import pytest

from tests.server.machine import ROOT

PACKAGES = (
    "benchmarks",
    "clients",
    "engine",
    "evaluation",
    "export",
    "osc_protocol",
    "presets",
    "server",
    "training",
)
FORBIDDEN = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def calls(tree, *names):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]


def keyword(call, name):
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_unpickles(package):
    for path in FILES:
        if path.relative_to(ROOT).parts[0] != package:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            name.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for name in node.names
        }
        imported |= {
            str(node.module).split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }
        assert not imported & FORBIDDEN, path
        assert all(keyword(call, "weights_only") == "True" for call in calls(tree, "torch.load")), (
            path
        )
        assert all(
            keyword(call, "allow_pickle") in (None, "False") for call in calls(tree, "np.load")
        ), path
        assert not calls(tree, "yaml.load", "yaml.unsafe_load", "yaml.full_load"), path


def test_a_pickle_in_the_place_of_an_adapter_is_not_opened(tmp_path):
    """The bytes would make a file if anything ran them."""
    pytest.importorskip("torch")
    from safetensors import SafetensorError

    from engine.families.audioldm2.ap_adapter import read_adapter

    trap = tmp_path / "sprung"
    (tmp_path / "adapter.safetensors").write_bytes(
        b"cpathlib\nPath.touch\n(cpathlib\nPath\n(V%b\ntRtR." % bytes(trap)
    )
    with pytest.raises(SafetensorError):
        read_adapter(tmp_path / "adapter.safetensors")
    assert not trap.exists()
