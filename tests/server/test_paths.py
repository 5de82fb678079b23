import os

from server.paths import (
    Paths,
    ServerAddress,
    config_file,
    read_port_file,
    remove_port_file,
    write_port_file,
)


def test_everything_lies_under_the_data_folder(tmp_path):
    made = Paths.under(tmp_path)
    for path in (made.journal, made.spool, made.takes, made.presets, made.port_file, made.log):
        assert path.is_relative_to(tmp_path)


def test_no_data_folder_means_the_platform_place():
    assert Paths.under("").data.name == "retimbre"


def test_create_makes_the_folders(tmp_path):
    made = Paths.under(tmp_path / "new").create().create()
    assert made.spool.is_dir() and made.takes.is_dir() and made.presets.is_dir()


def test_option_file_follows_the_data_folder(tmp_path):
    assert config_file(tmp_path) == tmp_path / "config.yaml"


def test_port_file_round_trip(tmp_path):
    address = ServerAddress("127.0.0.1", 11021, 0, os.getpid())
    write_port_file(tmp_path / "s.json", address)
    assert read_port_file(tmp_path / "s.json") == address
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_half_a_port_file_is_no_port_file(tmp_path):
    (tmp_path / "s.json").write_text('{"host": "127')
    assert read_port_file(tmp_path / "s.json") is None
    (tmp_path / "s.json").write_text('{"host": "127.0.0.1"}')
    assert read_port_file(tmp_path / "s.json") is None


def test_only_the_owner_removes_the_port_file(tmp_path):
    write_port_file(tmp_path / "s.json", ServerAddress("127.0.0.1", 1, 0, 42))
    remove_port_file(tmp_path / "s.json", 43)
    assert read_port_file(tmp_path / "s.json")
    remove_port_file(tmp_path / "s.json", 42)
    assert read_port_file(tmp_path / "s.json") is None
