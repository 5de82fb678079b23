"""Ports, limits and words that several tables share."""

from __future__ import annotations

DEFAULT_PORT = 11020  # UDP and TCP
REPLY_PORT = 11021  # for clients that listen on a fixed port (Pd, Max)
HTTP_PORT = 11022
PROTOCOL_VERSION = 1  # grows when an old client would break

PATH_BYTES = 1024  # macOS' PATH_MAX
TEXT_BYTES = 1024  # more than any of our text encoders reads
NEGATIVE_BYTES = 8000  # 2000 characters of four bytes each; /get answers with the first TEXT_BYTES
MESSAGE_BYTES = 900  # of free text from us
DEVICE_BYTES = 128  # names of sound devices
MIXTURE_BYTES = 512  # of style names with weights
CHUNK_BYTES = 1 << 20  # of audio in one message, over TCP
MISSING_AT_MOST = 32  # indexes in one /audio/missing

# fmt: off
STATES = ("starting", "loading", "warming", "ready", "busy", "draining", "error")
LIVE_STATES = ("off", "starting", "running", "lost")
JOB_STATES = ("queued", "running", "done", "failed", "cancelled")
STAGES = (
    "queued", "downloading", "loading", "compiling", "encoding",
    "generating", "decoding", "fitting", "writing",
)
# whole files, then raw interleaved samples
AUDIO_FORMATS = ("wav", "flac", "aiff", "f32le", "s24le", "s16le")
# fmt: on
