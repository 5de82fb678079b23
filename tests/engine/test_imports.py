"""What serving may load: nothing that the install for the main job does not have."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "scipy", "librosa", "onnx", "transformers", "matplotlib")


def packages_after(program: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"{program}; import sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in told.stdout.split()}


def test_serving_needs_no_training_library():
    program = (
        "import engine.worker, engine.editing, engine.families.nano.family, engine.hearing.tempo; "
        "engine.families.nano.NanoFamily"
    )
    assert not packages_after(program) & set(HEAVY)


def test_the_package_itself_loads_nothing():
    assert not packages_after("import engine, engine.families.nano") & {
        "numpy",
        "onnxruntime",
        "soundfile",
        *HEAVY,
    }


def test_the_worker_loads_the_runtime_only_when_it_is_used():
    assert not packages_after("import engine.worker, engine.families.nano.family") & {
        "onnxruntime",
        "soundfile",
        "soxr",
    }


def test_to_say_what_a_family_lacks_needs_none_of_its_libraries():
    program = (
        "from engine.families.registry import FAMILIES; "
        "[family.missing(None) for family in FAMILIES.values()]"
    )
    assert not packages_after(program) & set(HEAVY)
