"""The README's commands, tables and messages are true."""

import re
import shlex
from pathlib import Path

import pytest

import osc_protocol
from osc_protocol.wire import write_message
from server import config
from server.cli import main as cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^(->|<-) (/retimbre\S*.*?)(?:   .*)?$", README, flags=re.MULTILINE)


def atoms(words):
    for word in shlex.split(words):
        yield (
            int(word)
            if re.fullmatch(r"-?\d+", word)
            else float(word)
            if re.fullmatch(r"-?\d+\.\d+", word)
            else word
        )


def test_options_table_is_the_table_of_options():
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert config.markdown() in page, "put the output of config.markdown() into docs/options.md"


def test_there_are_messages_to_check():
    assert len(MESSAGES) >= 7


@pytest.mark.parametrize(("way", "words"), MESSAGES)
def test_messages_are_what_the_protocol_allows(way, words):
    address, *args = atoms(words)
    if way == "<-":
        assert address in osc_protocol.REPLIES
        osc_protocol.encode(address, *args)
    else:
        [request] = osc_protocol.decode_packet(write_message(address, args))
        assert isinstance(request, osc_protocol.Request), request
        assert request.warnings == ()


@pytest.mark.parametrize(
    "line", re.findall(r"^(?:\.venv/bin/)?retimbre (.+)$", README, flags=re.MULTILINE)
)
def test_command_lines_parse(line):
    words = shlex.split(line, comments=True)
    assert cli._parser(words).parse_args(words).command == words[0]


def test_the_test_command_can_be_found_by_the_continuous_integration():
    block = re.search(r"<!-- test command -->\n```sh\n(.+)\n```", README)
    assert block and block[1].count("\n") == 0 and "pytest" in block[1]


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()
