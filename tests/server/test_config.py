import argparse
import dataclasses
import os

import pytest

from server import config
from server.config import ClientConfig, ConfigError, ServeConfig


def flags(*words, of=ServeConfig):
    parser = argparse.ArgumentParser()
    config.add_arguments(parser, of)
    return vars(parser.parse_args(words))


def build(*words, environ=None, of=ServeConfig, tmp_path="nowhere"):
    return config.build(
        of, flags(*words, of=of), {"RETIMBRE_DATA_DIR": str(tmp_path), **(environ or {})}
    )


def test_defaults_are_loopback_and_the_documented_port():
    made = build()
    assert (made.host, made.port, made.http_port) == ("127.0.0.1", 11020, 11022)


def test_flag_beats_environment_beats_file_beats_default(tmp_path):
    (tmp_path / "config.yaml").write_text("port: 1\nqueue_limit: 2\nthreads: 3\n")
    made = build(
        "--port",
        "10",
        environ={"RETIMBRE_PORT": "20", "RETIMBRE_QUEUE_LIMIT": "30"},
        tmp_path=tmp_path,
    )
    assert (made.port, made.queue_limit, made.threads, made.max_file_mb) == (10, 30, 3, 2048)


def test_every_option_is_a_flag_an_environment_variable_and_a_file_key(tmp_path):
    values = {int: 7, float: 7.5, str: "x", tuple: ("a", "b")}
    for of in config.CONFIGS:
        for each in dataclasses.fields(of):
            value = (
                each.metadata["choices"][-1]
                if each.metadata["choices"]
                else values[type(each.default)]
            )
            if each.name in ("host", "data_dir"):
                continue
            several = list(value) if isinstance(value, tuple) else [value]
            shown = os.pathsep.join(map(str, several))
            words = [f"--{each.name.replace('_', '-')}={one}" for one in several]
            (tmp_path / "config.yaml").write_text(
                f"{each.name}: {several if isinstance(value, tuple) else value}"
            )
            assert getattr(build(*words, of=of), each.name) == value
            assert (
                getattr(build(of=of, environ={"RETIMBRE_" + each.name.upper(): shown}), each.name)
                == value
            )
            assert getattr(build(of=of, tmp_path=tmp_path), each.name) == value


def test_unknown_key_in_the_file_names_file_line_and_nearest_option(tmp_path):
    (tmp_path / "config.yaml").write_text("threads: 2\nporrt: 3\n")
    with pytest.raises(
        ConfigError, match=r"config\.yaml:2: porrt: no such option; did you mean port\?"
    ):
        build(tmp_path=tmp_path)


def test_a_client_may_read_the_file_of_the_server(tmp_path):
    (tmp_path / "config.yaml").write_text("queue_limit: 5\nport: 12345\n")
    assert build(of=ClientConfig, tmp_path=tmp_path).port == 12345


@pytest.mark.parametrize(
    "text", ["port: true", "port: many", "port: 99999", "log_level: loud", "port:"]
)
def test_bad_value_in_the_file_says_what_was_expected(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml:1: \w+: expected"):
        build(tmp_path=tmp_path)


@pytest.mark.parametrize("text", ["- a\n- b", "a: [", "just words"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        build(tmp_path=tmp_path)


def test_empty_file_changes_nothing(tmp_path):
    (tmp_path / "config.yaml").write_text("# nothing yet\n")
    assert build(tmp_path=tmp_path).port == 11020


def test_named_file_must_exist():
    with pytest.raises(ConfigError, match="does not exist"):
        build("--config", "missing.yaml")


def test_bad_flag_is_named():
    with pytest.raises(
        ConfigError, match="--port: expected a whole number from 0 to 65535, got 'x'"
    ):
        build("--port", "x")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "studio.local"])
def test_listening_to_other_machines_needs_a_password(host):
    with pytest.raises(ConfigError, match="--password-file"):
        build("--host", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_loopback_needs_no_password(host):
    assert build("--host", host).host == host


def test_password_is_the_first_line_of_its_file(tmp_path):
    (tmp_path / "p").write_text("secret\nrest\n")
    assert build("--host", "0.0.0.0", "--password-file", str(tmp_path / "p")).password() == "secret"


def test_empty_password_file_is_refused(tmp_path):
    (tmp_path / "p").write_text("\n")
    with pytest.raises(ConfigError, match="expected a password"):
        build("--password-file", str(tmp_path / "p")).password()


def test_arguments_make_the_same_configuration_again():
    made = build("--port", "0", "--root", "a b", "--root=c", "--threads=2")
    assert build(*config.arguments(made)) == dataclasses.replace(made, data_dir="nowhere")


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        build().port = 1
