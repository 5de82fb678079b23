"""Datagrams as other programs really send them: their origin, their bytes, their meaning.

Captured with a plain UDP socket on loopback:
  liblo   oscsend of liblo-tools 0.31 (Debian 12): oscsend localhost PORT, then `origin`
  Pd      Pd 0.53.1, headless (pd -nogui -noaudio): `origin` into [oscformat …], [netsend -u -b]
  sclang  SuperCollider 3.13.0, headless: NetAddr("127.0.0.1", PORT), the method call in `origin`
"""

from dataclasses import dataclass, field

import pytest

from osc_protocol import BadRequest, Request, decode_packet


@dataclass
class Captured:
    """One datagram.

    `means`: (address, id, values without the id, keys) of each message in it.
    """

    program: str
    origin: str
    data: bytes
    means: list = field(default_factory=list)


LOOP = "/home/ada/loop.wav"
VIOLIN = {"audio": LOOP, "text": "turn this into a violin"}

UNDERSTOOD = [
    Captured(
        "liblo",
        '/retimbre/edit isssssi 7 /home/ada/loop.wav "turn this into a violin" '
        "preset violin seed 3",
        b"/retimbre/edit\0\0,isssssi\0\0\0\0\0\0\0\x07/home/ada/loop.wav\0\0"
        b"turn this into a violin\0"
        b"preset\0\0violin\0\0seed\0\0\0\0\0\0\0\x03",
        [("edit", 7, VIOLIN, {"preset": "violin", "seed": 3})],
    ),
    Captured(
        "liblo",
        "/retimbre/say sss j1 church organ",
        b"/retimbre/say\0\0\0,sss\0\0\0\0j1\0\0church\0\0organ\0\0\0",
        [("say", "j1", {"text": "church organ"}, {})],
    ),
    Captured(
        "liblo",
        "/retimbre/cancel i 7",
        b"/retimbre/cancel\0\0\0\0,i\0\0\0\0\0\x07",
        [("cancel", 7, {}, {})],
    ),
    Captured(
        "liblo",
        "/retimbre/notify TiS 11021 ada",
        b"/retimbre/notify\0\0\0\0,TiS\0\0\0\0\0\0+\rada\0",
        [("notify", None, {"on": 1, "port": 11021, "name": "ada"}, {})],
    ),
    Captured(
        "liblo", "/retimbre/status", b"/retimbre/status\0\0\0\0,\0\0\0", [("status", None, {}, {})]
    ),
    Captured(
        "liblo",
        "/retimbre/set sfsd strength 0.5 guidance 2.5",
        b"/retimbre/set\0\0\0,sfsd\0\0\0strength\0\0\0\0?\0\0\0guidance\0\0\0\0@\x04\0\0\0\0\0\0",
        [("set", None, {}, {"strength": 0.5, "guidance": 2.5})],
    ),
    Captured(
        "Pd",
        "[7 /home/ada/loop.wav 2 3.5( [oscformat retimbre region]",
        b"/retimbre/region\0\0\0\0,fsff\0\0\0@\xe0\0\0/home/ada/loop.wav\0\0@\0\0\0@`\0\0",
        [("region", 7, {"audio": LOOP, "start": 2.0, "length": 3.5}, {})],
    ),
    Captured(
        "Pd",
        "[8 turn this into an 808 violin( [oscformat retimbre say]",
        b"/retimbre/say\0\0\0,fssssfs\0\0\0\0A\0\0\0turn\0\0\0\0this\0\0\0\0into\0\0\0\0an\0\0DJ\0\0violin\0\0",
        [("say", 8, {"text": "turn this into an 808 violin"}, {})],
    ),
    Captured(
        "Pd",
        "[list strength 0.5 seed 16777215( [oscformat retimbre set]",
        b"/retimbre/set\0\0\0,sfsf\0\0\0strength\0\0\0\0?\0\0\0seed\0\0\0\0K\x7f\xff\xff",
        [("set", None, {}, {"strength": 0.5, "seed": 16777215})],
    ),
    Captured(
        "Pd",
        "[bang( [oscformat retimbre status]",
        b"/retimbre/status\0\0\0\0,\0\0\0",
        [("status", None, {}, {})],
    ),
    Captured(
        "liblo", "/retimbre/status N", b"/retimbre/status\0\0\0\0,N\0\0", [("status", None, {}, {})]
    ),
    Captured(
        "Pd",
        "[9 8 strength 0.5( [oscformat -f iisf retimbre again]",
        b"/retimbre/again\0,iisf\0\0\0\0\0\0\t\0\0\0\x08strength\0\0\0\0?\0\0\0",
        [("again", 9, {"old_id": 8}, {"strength": 0.5})],
    ),
    Captured(
        "sclang",
        r"""sendMsg('/retimbre/edit', 7, "/home/ada/loop.wav", "turn this into a violin",
                           \preset, "violin", \seed, 3)""",
        b"/retimbre/edit\0\0,isssssi\0\0\0\0\0\0\0\x07/home/ada/loop.wav\0\0"
        b"turn this into a violin\0"
        b"preset\0\0violin\0\0seed\0\0\0\0\0\0\0\x03",
        [("edit", 7, VIOLIN, {"preset": "violin", "seed": 3})],
    ),
    Captured(
        "sclang",
        """sendMsg("/retimbre/say", "j1", "church organ please")""",
        b"/retimbre/say\0\0\0,ss\0j1\0\0church organ please\0",
        [("say", "j1", {"text": "church organ please"}, {})],
    ),
    Captured(
        "sclang",
        "sendMsg('/retimbre/notify', true, NetAddr.langPort)",
        b"/retimbre/notify\0\0\0\0,ii\0\0\0\0\x01\0\0\xdf\x20",
        [("notify", None, {"on": 1, "port": 57120, "name": ""}, {})],
    ),
    Captured(
        "sclang",
        r"sendMsg('/retimbre/set', \strength, 0.5, \guidance, 2)",
        b"/retimbre/set\0\0\0,sfsi\0\0\0strength\0\0\0\0?\0\0\0guidance\0\0\0\0\0\0\0\x02",
        [("set", None, {}, {"strength": 0.5, "guidance": 2.0})],
    ),
    Captured(
        "sclang",
        """sendBundle(0.2, ['/retimbre/region', 7, "/home/ada/loop.wav", 2.0, 3.5],
                          ['/retimbre/say', 8, "a flute"])""",
        b"#bundle\0\xee\xab\xce/4\xc6\xa0\x18\0\0\0</retimbre/region\0\0\0\0,isff\0\0\0\0\0\0\x07"
        b"/home/ada/loop.wav\0\0@\0\0\0@`\0\0\0\0\0\x20/retimbre/say\0\0\0,is\0\0\0\0\x08a flute\0",
        [
            ("region", 7, {"audio": LOOP, "start": 2.0, "length": 3.5}, {}),
            ("say", 8, {"text": "a flute"}, {}),
        ],
    ),
    Captured(
        "sclang",
        "sendBundle(nil, ['/retimbre/status'])",
        b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x18/retimbre/status\0\0\0\0,\0\0\0",
        [("status", None, {}, {})],
    ),
    Captured(
        "sclang",
        "sendMsg('/retimbre/audio/data', 5, 0, Int8Array[1, 2, 3, 4, 5]); "
        "it pads with what was there",
        b"/retimbre/audio/data\0\0\0\0,iib\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x05\x01\x02\x03\x04\x05\0\0\x07",
        [("audio/data", 5, {"index": 0, "bytes": b"\1\2\3\4\5"}, {})],
    ),
    Captured(
        "sclang",
        """sendMsg('/retimbre/ping', [1, [2, "x"]]); a nested list travels as a bundle in a blob""",
        b"/retimbre/ping\0\0,b\0\0\0\0\0\x20#bundle\0\xee\xab\xce-\xfeR\xc7\x91\0\0\0\x0c"
        b"\0\0\0\x02,s\0\0x\0\0\0",
        [
            (
                "ping",
                None,
                {
                    "echo": (
                        b"#bundle\0\xee\xab\xce-\xfeR\xc7\x91\0\0\0\x0c\0\0\0\x02,s\0\0x\0\0\0",
                    )
                },
                {},
            )
        ],
    ),
]

# What these programs can send too, and what we answer: (code, id, words of the message).
REFUSED = [
    Captured(
        "liblo",
        '/retimbre/edit issssi 7 /home/ada/loop.wav "turn this into a violin" preset violin 3',
        b"/retimbre/edit\0\0,issssi\0\0\0\0\x07/home/ada/loop.wav\0\0turn this into a violin\0"
        b"preset\0\0violin\0\0\0\0\0\x03",
        [("bad_args", 7, "3 has none")],
    ),
    Captured(
        "liblo",
        "/retimbre/ping hdcm 5000000000 0.5 a 00903c40",
        b"/retimbre/ping\0\0,hdcm\0\0\0\0\0\0\x01*\x05\xf2\0?\xe0\0\0\0\0\0\0\0\0\0a\0\x90<@",
        [("bad_args", 0, "type tag 'c'")],
    ),
    Captured(
        "liblo", "/retimbre/sync N", b"/retimbre/sync\0\0,N\0\0", [("bad_args", 0, "n is missing")]
    ),
    Captured(
        "sclang",
        "sendMsg('/retimbre/ping', nil, $a); "
        "nil travels as 0, a character as a tag without a value",
        b"/retimbre/ping\0\0,ia\0\0\0\0\0",
        [("bad_args", 0, "type tag 'a'")],
    ),
]


def name_of(captured):
    return f"{captured.program} {captured.origin.split('/retimbre/')[-1][:30]}"


@pytest.mark.parametrize("captured", UNDERSTOOD, ids=name_of)
def test_a_message_of_another_program_is_understood(captured):
    requests = decode_packet(captured.data)
    assert all(isinstance(request, Request) and not request.warnings for request in requests)
    assert [
        (
            request.address.removeprefix("/retimbre/"),
            request.id,
            {name: value for name, value in request.values.items() if name != "id"},
            request.keys,
        )
        for request in requests
    ] == captured.means


@pytest.mark.parametrize("captured", REFUSED, ids=name_of)
def test_a_message_of_another_program_is_refused_with_a_reason(captured):
    (bad,), [(code, id, words)] = decode_packet(captured.data), captured.means
    assert isinstance(bad, BadRequest)
    assert (bad.code, bad.id) == (code, id)
    assert words in bad.message
