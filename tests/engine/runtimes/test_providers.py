"""What computes is chosen in the table's order, and by a measurement where two could win."""

import json

import numpy as np
import pytest

from engine.errors import EngineError
from engine.runtimes import providers
from engine.runtimes.providers import Provider, choose

pytest.importorskip("onnxruntime")


def row(name, reason="", is_sure=False):
    return Provider(name, name.title(), lambda: reason, lambda options, threads: [], is_sure)


CPU = row("cpu", is_sure=True)


def measure_with(seconds, error=0.0):
    """A measurement that says so; `asked` counts."""
    asked = []

    def measure(provider):
        asked.append(provider.name)
        if isinstance(seconds[provider.name], Exception):
            raise seconds[provider.name]
        return seconds[provider.name], [np.ones(3) * (1 + (error if provider.name != "cpu" else 0))]

    measure.asked = asked
    return measure


def test_a_card_is_taken_at_sight_and_the_reasons_against_the_others_are_told():
    found = choose(
        providers=(
            row("tensorrt", "not installed"),
            row("cuda", is_sure=True),
            row("openvino"),
            CPU,
        )
    )
    assert found.name == "cuda" and found.others == (("Tensorrt", "not installed"),)


@pytest.mark.parametrize(
    ("seconds", "error", "winner", "words"),
    [
        ({"openvino": 0.1, "cpu": 0.3}, 0.01, "openvino", "100 ms a step"),
        ({"openvino": 0.28, "cpu": 0.3}, 0.0, "cpu", "the fastest here"),
        ({"openvino": 0.1, "cpu": 0.3}, 0.5, "cpu", "the fastest here"),
        (
            {"openvino": RuntimeError("no such operator"), "cpu": 0.3},
            0.0,
            "cpu",
            "the fastest here",
        ),
    ],
    ids=["faster", "hardly faster", "says something else", "does not run"],
)
def test_where_two_could_win_the_faster_one_that_says_the_same_is_taken(
    seconds, error, winner, words
):
    found = choose(measure=measure_with(seconds, error), providers=(row("openvino"), CPU))
    assert found.name == winner and words in found.reason
    if winner == "cpu":
        assert found.others[0][0] == "Openvino" and found.others[0][1]


def test_a_contest_is_held_once_and_remembered(tmp_path):
    record, table = tmp_path / "exports" / "runtime.json", (row("openvino"), CPU)
    unknown = choose(record=record, providers=table)
    assert unknown.name == "cpu" and "not measured yet" in unknown.others[0][1]
    measure = measure_with({"openvino": 0.1, "cpu": 0.3})
    for _ in range(2):
        assert choose(measure=measure, record=record, providers=table).name == "openvino"
    assert measure.asked == ["openvino", "cpu"] and len(json.loads(record.read_text())) == 1
    assert choose(record=record, providers=table).name == "openvino"


def test_what_is_asked_for_is_taken_or_refused_with_the_reason():
    table = (row("cuda", "no card", is_sure=True), row("openvino"), CPU)
    assert choose("openvino", providers=table).reason == "asked for"
    with pytest.raises(EngineError, match="no card") as caught:
        choose("cuda", providers=table)
    assert caught.value.code == "not_ready"
    with pytest.raises(EngineError, match="expected one of"):
        choose("abacus", providers=table)


def test_this_machine_has_a_runtime_and_a_reason_for_it():
    found = choose()
    assert found.name in providers.NAMES and found.reason
    assert all(reason for _, reason in found.others)
    assert providers.current() == providers.CPU  # choosing is not using


def test_a_graph_is_measured_with_small_axes(tiny_weights):
    seconds, outputs = providers.measure_graph(tiny_weights / "denoiser.onnx", 1)(
        providers.PROVIDERS[-1]
    )
    assert seconds > 0 and outputs[0].shape == (2, 128, 48)
