from benchmarks.measures.turnaround import split


def test_the_parts_of_a_turnaround_add_up_to_it():
    manifest = {"timings_seconds": {"encoding": 0.1, "generating": 0.5, "total": 0.7}}
    parts = split(0.75, manifest)
    assert {name: round(value, 3) for name, value in parts.items()} == {
        "encoding": 0.1,
        "generating": 0.5,
        "engine, the rest": 0.1,
        "server, pipe and sockets": 0.05,
    }


def test_a_manifest_without_a_total_has_no_rest():
    assert split(1.0, {"timings_seconds": {"generating": 0.25}})["engine, the rest"] == 0
