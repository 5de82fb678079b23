"""Many styles at once: reloading, precedence, and the damage that one broken file may do."""

import hashlib
import os
import threading

import pytest

from presets import SHIPPED_FOLDER, Library, PresetError
from tests.presets.test_schema import SMALLEST


def write(folder, name, old="", new=""):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(
        SMALLEST.replace("name: viola", f"name: {name}").replace(old, new)
        if old
        else SMALLEST.replace("name: viola", f"name: {name}"),
        encoding="utf-8",
    )
    os.utime(path, ns=(before + 10**9,) * 2)  # clocks of some file systems tick once a second
    return path


def test_a_broken_file_never_takes_the_others_down(tmp_path):
    write(tmp_path, "good")
    write(tmp_path, "bad", "licence", "license")
    report = Library([tmp_path]).report
    assert report.loaded == ("good",)
    assert {(problem.file, problem.line) for problem in report.errors} == {
        ("bad.yaml", 6),
        ("bad.yaml", 1),
    }


def test_a_preset_whose_file_breaks_stays_as_it_was_until_it_is_mended(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "b")
    library = Library([tmp_path])
    write(tmp_path, "a", "title: Viola", "title: [")
    write(tmp_path, "b", "title: Viola", "title: New")
    report = library.reload()
    assert report.kept == ("a",) and report.errors[0].file == "a.yaml"
    assert (library.get("a").title, library.get("b").title) == ("Viola", "New")
    write(tmp_path, "a", "title: Viola", "title: Mended")
    assert not library.reload().errors
    assert library.get("a").title == "Mended"


def test_a_deleted_file_takes_its_preset_along(tmp_path):
    path = write(tmp_path, "a")
    library = Library([tmp_path])
    path.unlink()
    assert library.has_changed()
    assert library.reload().loaded == ()


def test_changed_answers_after_an_edit_a_new_file_and_not_otherwise(tmp_path):
    write(tmp_path, "a")
    library = Library([tmp_path, tmp_path / "absent"])
    assert not library.has_changed()
    write(tmp_path, "a", "Viola", "Alto")
    assert library.has_changed()
    library.reload()
    assert not library.has_changed()
    write(tmp_path / "absent", "b")
    assert library.has_changed()


def test_a_broken_file_is_a_change_only_once(tmp_path):
    write(tmp_path, "a", "licence", "license")
    assert not Library([tmp_path]).has_changed()


def test_a_style_that_waits_for_its_adapter_loads_when_the_file_arrives(tmp_path):
    sha256 = hashlib.sha256(b"tensors").hexdigest()
    adapters = f"adapters:\n  - path: a.safetensors\n    sha256: {sha256}\nlicence:"
    write(tmp_path, "a", "licence:", adapters)
    library = Library([tmp_path])
    assert "no such file" in library.report.errors[0].message
    (tmp_path / "a.safetensors").write_bytes(b"tensors")
    assert library.has_changed()
    assert library.reload().loaded == ("a",)


def test_the_users_folder_wins_over_the_shipped_one_unless_its_file_is_broken(tmp_path):
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    write(shipped, "a")
    write(own, "a", "title: Viola", "title: Mine")
    library = Library([shipped, own])
    assert library.get("a").title == "Mine"
    write(own, "a", "title: Viola", "title: ")
    assert Library([shipped, own]).get("a").title == "Viola"


def test_two_files_of_one_name_are_told(tmp_path):
    write(tmp_path, "a").with_suffix(".yml").write_text(
        SMALLEST.replace("name: viola", "name: a"), encoding="utf-8"
    )
    report = Library([tmp_path]).report
    assert report.loaded == ("a",) and "a.yml beside it" in report.errors[0].message


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    write(tmp_path, "church_organ")
    with pytest.raises(PresetError, match="'Church Orgen': did you mean church_organ") as caught:
        Library([tmp_path]).get("Church Orgen")
    assert caught.value.code == "unknown_preset"


def test_an_empty_library_says_why_nothing_is_found(tmp_path):
    with pytest.raises(PresetError, match="no preset is loaded"):
        Library([tmp_path]).get("a")


def test_readers_never_see_a_half_loaded_library(tmp_path):
    for name in "abcd":
        write(tmp_path, name)
    library, seen = Library([tmp_path]), set()
    stop = threading.Event()

    def read():
        while not stop.is_set():
            seen.add(library.names())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        library.reload()
    stop.set()
    reader.join()
    assert seen == {("a", "b", "c", "d")}


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root reads everything",
)
def test_a_file_without_read_permission_is_reported(tmp_path):
    path = write(tmp_path, "a")
    path.chmod(0)
    assert "permissions" in Library([tmp_path]).report.errors[0].message


def test_a_name_with_weights_is_a_blend(tmp_path):
    for name in ("one", "two"):
        write(tmp_path, name)
    library = Library([tmp_path])
    assert library.find("one") == library.get("one")
    assert library.find("one 3 two 1").title.count("75%") == 1


@pytest.mark.parametrize(
    ("mixture", "code", "said"),
    [
        ("one two", "bad_preset", "'two'"),
        ("one 1 two", "bad_preset", "in turn"),
        ("one 1 tow 1", "unknown_preset", "two"),
    ],
)
def test_a_blend_with_a_mistake_names_it(tmp_path, mixture, code, said):
    for name in ("one", "two"):
        write(tmp_path, name)
    with pytest.raises(PresetError, match=said) as caught:
        Library([tmp_path]).find(mixture)
    assert caught.value.code == code


def test_a_style_may_have_a_folder_of_its_own(tmp_path):
    (tmp_path / "fiddle").mkdir()
    text = (
        (SHIPPED_FOLDER / "pan_flute.yaml")
        .read_text(encoding="utf-8")
        .replace("name: pan_flute", "name: fiddle")
    )
    (tmp_path / "fiddle" / "fiddle.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "fiddle" / "other.yaml").write_text(text, encoding="utf-8")
    library = Library([tmp_path])
    assert (
        library.names() == ("fiddle",) and not library.report.errors and not library.has_changed()
    )
