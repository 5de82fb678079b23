"""What setup.cfg lists is what is there, and what the code imports is what it installs."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PACKAGES = SETUP["options"]["packages"].split()
# those that do not lie at the root
ELSEWHERE = dict(re.findall(r"(\S+) = (\S+)", SETUP["options"]["package_dir"]))
TOP_LEVEL = {package.split(".")[0] for package in PACKAGES}
MODULE_OF = {
    "python-osc": "pythonosc",
    "pyyaml": "yaml",
    "pyfluidsynth": "fluidsynth",
    "onnxruntime-gpu": "onnxruntime",
}


def modules(*requirements):
    names = re.findall(r"^\s*([A-Za-z0-9-]+)", "\n".join(requirements), flags=re.MULTILINE)
    return {MODULE_OF.get(name, name.replace("-", "_")) for name in names}


BASE = modules(SETUP["options"]["install_requires"])
EXTRAS = {name: modules(text) for name, text in SETUP["options.extras_require"].items()}
MAY_IMPORT = {  # a top-level import; an import inside a function may need an extra, and says so
    "osc_protocol": {"pythonosc"},
    "retimbre_client": {"pythonosc"},
    "presets": BASE,
    "engine": BASE,
    "engine.families.musicgen": BASE | EXTRAS["torch"],
    "engine.families.ace_step": BASE | EXTRAS["torch"],
    "engine.families.stable_audio_3": BASE | EXTRAS["torch"],
    "engine.families.shared": BASE | EXTRAS["torch"],
    "engine.adapters": BASE | EXTRAS["torch"],
    # only its family.py is imported before somebody asks for it
    "engine.families.audioldm2": BASE | EXTRAS["torch"],
    "server": BASE | {"matplotlib"},
    "server.compute": BASE | EXTRAS["cluster"],
    "export": BASE | EXTRAS["train"],
    "training": BASE | EXTRAS["train"],
    "evaluation": BASE | EXTRAS["train"],
}

# of engine.families.nano: the network itself, which runs as exported graphs
TRAINED_WITH_TORCH = {"model.py"}


def folder(package):
    return ROOT / ELSEWHERE.get(package, package.replace(".", "/"))


def sources(package):
    return sorted(folder(package).glob("*.py"))


def top_level_imports(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_listed_package_is_there(package):
    assert (folder(package) / "__init__.py").is_file()


def test_every_package_is_listed():
    found = {
        ".".join(path.relative_to(ROOT).parent.parts)
        for top in TOP_LEVEL
        for path in ROOT.glob(f"{top}/**/*.py")
    }
    assert found | set(ELSEWHERE) == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_imports_is_installed_with_it(package):
    allowed = (
        MAY_IMPORT.get(package, MAY_IMPORT[package.split(".")[0]])
        | TOP_LEVEL
        | set(sys.stdlib_module_names)
    )
    for path in sources(package):
        if package == "engine.families.nano" and path.name in TRAINED_WITH_TORCH:
            continue
        assert set(top_level_imports(path)) <= allowed, path


@pytest.mark.parametrize("module", ["server.app", "engine.worker"])
@pytest.mark.parametrize("heavy", ["torch", "ray"])
def test_what_serves_imports_nothing_heavy(module, heavy):
    code = f"import sys, {module}; print({heavy!r} in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "False\n"


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_the_main_job_needs_no_torch(extra):
    assert "torch" not in BASE | EXTRAS[extra]
