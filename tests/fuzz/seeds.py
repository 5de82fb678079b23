"""Writes the corpus: python -m tests.fuzz.seeds.

Each file is one small input, so that the search begins deep.
"""

from __future__ import annotations

import io
import json
import struct

from tests.fuzz.targets import CORPUS, TARGETS


def write(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def osc() -> None:
    from osc_protocol import encode, encode_frame

    requests = {
        "ping": encode("/retimbre/ping", 7),
        "edit": encode(
            "/retimbre/edit",
            7,
            "a.wav",
            "turn this into a violin",
            start=1.5,
            seed=3,
            preset="harp",
        ),
        "say": encode("/retimbre/say", 7, "turn this into a violin"),
        "data": encode("/retimbre/audio/data", 7, 0, b"abcd"),
        "close": encode("/retimbre/audio/close", 7, 1, "00000000"),
        "set": encode("/retimbre/set", "steps", 8),
        "wide": b"/retimbre/ping\0\0,hdTFNIS\0" + bytes(20),
    }
    packets = list(requests.values())
    element = b"".join(struct.pack(">i", len(packet)) + packet for packet in packets[:3])
    requests["bundle"] = b"#bundle\0" + bytes(8) + element
    requests["nested"] = (
        requests["bundle"][:16] + struct.pack(">i", len(element) + 16) + requests["bundle"]
    )
    for name, packet in requests.items():
        write("datagram", name, packet)
    replies = {
        "ack": encode("/retimbre/ack", 7, "j-1", 0, 1.5),
        "progress": encode("/retimbre/progress", 7, 0.5, "generating", 1.0, 0),
        "fail": encode("/retimbre/fail", "/retimbre/edit", 7, "no_file", "none there"),
        "ready": encode("/retimbre/audio/ready", 7, 3840, 8, "uploads/x.wav"),
        "missing": encode("/retimbre/audio/missing", 7, 1, 2, 3),
    }
    for name, packet in replies.items():
        write("reply", name, packet)
    for kind in ("int32", "slip"):
        write(
            "framing",
            kind,
            bytes((3, 0, 200, 1)) * 2 + b"".join(encode_frame(packet, kind) for packet in packets),
        )
    write("framing", "rfc1055", bytes(8) + packets[0] + b"\xc0" + packets[1] + b"\xc0")


def transfers() -> None:
    def step(kind: int, small: int, tail: bytes = b"", wide: int = 0) -> bytes:
        return b"\1" + bytes((small,)) + struct.pack("<I", wide) + bytes((kind,)) + tail

    data = [step(1, index, b"\x05" + b"0123456789") for index in (0, 2, 1, 3)]
    write("transfer", "upload", b"\0\0\4\xff" + step(0, 0) + b"".join(data) + step(2, 4, bytes(4)))
    write("transfer", "download", b"\1\0\4\xff" + b"".join(data) + step(2, 4, bytes(4)))
    answers = [
        step(3, 8, wide=100),
        *(step(4, index) for index in range(8)),
        step(5, 3, b"\1\2\3"),
        step(5, 0),
    ]
    write("transfer", "sender", b"\0\0\4\x40" + b"".join(answers))


def http() -> None:
    from osc_protocol import ADDRESSES

    bodies = {
        "edit": {"id": "7", "audio": "a.wav", "text": ["a", "violin"], "seed": 3},
        "ping": {"id": 7},
        "audio/data": {"id": 7, "index": 0, "bytes": "YWJj"},
        "set": {"steps": 8},
        "notify": {"level": 1},
    }
    for name, values in bodies.items():
        at = list(ADDRESSES).index(f"/retimbre/{name}")
        write("body", name.replace("/", "-"), bytes((at,)) + json.dumps(values).encode())
    write("query", "node", b"/retimbre/edit?TYPE&VALUE\n127.0.0.1:11022")
    write("query", "host", b"/?HOST_INFO\n[::1]:11022")
    write(
        "query",
        "upload",
        b"/retimbre/audio/upload?rate=48000&channels=2&frames=5&format=s16le\nBearer word",
    )
    write("query", "basic", b"/a/b%20c\nBasic YTpi")
    write("query", "listen", b'/\n{"COMMAND": "LISTEN", "DATA": "/retimbre/state"}')


def paths() -> None:
    for at, text in enumerate(
        (
            "a.wav",
            "song/b.wav",
            "../secret.wav",
            "up/secret.wav",
            "link.wav",
            "pipe.wav",
            "/etc/passwd",
            "file:///a%20b.wav",
            "C:\\a.wav",
            "\\\\host\\share\\a.wav",
            "Macintosh HD:/Users/me/a.wav",
            "a.wav\0.txt",
            "~/a.wav",
            "song/../a.wav",
            "con.wav",
        )
    ):
        write("path", f"{at:02}", text.encode())
    write("path", "not-utf8", b"caf\xe9.wav")


def sounds() -> None:
    import numpy as np
    import soundfile

    tone = np.sin(np.arange(200) / 5)[:, None] * [[0.5, 0.25]]
    for container, subtype in (
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("W64", "PCM_16"),
        ("CAF", "PCM_16"),
        ("AU", "PCM_16"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "ULAW"),
    ):
        sound = io.BytesIO()
        soundfile.write(sound, tone, 8000, format=container, subtype=subtype)
        for target in (
            ("audio", "header")
            if container in ("WAV", "WAVEX", "RF64", "AIFF", "FLAC")
            else ("audio",)
        ):
            write(target, f"{container}-{subtype}".lower(), sound.getvalue())


def texts() -> None:
    from presets import SHIPPED_FOLDER

    for path in sorted(SHIPPED_FOLDER.glob("*.yaml"))[:3]:
        write("preset", path.name, path.read_bytes())
    write("preset", "laughs.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nname: *c\n")
    write("preset", "deep.yaml", b"name: " + b"[" * 500 + b"]" * 500)
    write(
        "preset",
        "tags.yaml",
        b"name: !!python/object/apply:os.system [true]\nd: 2001-12-14\nm: {<<: {a: 1}}\n",
    )
    write(
        "options",
        "all.yaml",
        b"port: 11020\nroot: [/a, /b]\nlog_level: info\nkeep_gb: 3\npassword_file: x\n",
    )
    write("options", "odd.yaml", b"port: .inf\nroot: 5\nmodel: ~\nhost: 2001-01-01\n")


def tensors() -> None:
    def file(table: dict, data: bytes) -> bytes:
        head = json.dumps(table).encode()
        return struct.pack("<Q", len(head)) + head + data

    row = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    write("tensors", "one", file({"a": row, "__metadata__": {"rotary": "1"}}, bytes(16)))
    write("tensors", "half", file({"a": {**row, "dtype": "F16", "data_offsets": [0, 8]}}, bytes(8)))
    write("tensors", "none", file({}, b""))


def main() -> None:
    for make in (osc, transfers, http, paths, sounds, texts, tensors):
        make()
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)


if __name__ == "__main__":
    main()
