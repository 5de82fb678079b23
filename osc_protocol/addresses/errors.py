"""The codes of /fail."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# fmt: off
ERROR_CODES: Mapping[str, str] = MappingProxyType({
    "bad_packet": "the bytes are not an OSC message",
    "bad_args": "an argument is missing, of the wrong type, out of range, or one too many",
    "unknown_address": "no such address; the message names the nearest",
    "unknown_preset": "no such preset",
    "unknown_model": "no such model",
    "unknown_job": "no job of yours has this id, or it is forgotten",
    "unknown_take": "no such take",
    "unknown_upload": "no transfer of yours has this id, or it has expired",
    "no_region": "/say came before any /region",
    "no_file": "no such file",
    "path_denied": "the path leads outside the allowed roots",
    "bad_audio": "it cannot be read as audio, is still being written, or has another checksum",
    "bad_preset": "a preset has a mistake, or brings what the model does not take",
    "too_long": "the region is longer than the model or the server takes",
    "too_short": "the region is too short, or fewer bars are remembered than were asked for",
    "too_large": "more bytes than the server takes",
    "busy": "not while a job runs",
    "queue_full": "too many jobs are waiting",
    "not_ready": "the server is starting or draining",
    "missing_weights": "the model's files are not here; the message has the command that fetches "
                       "them",
    "model_damaged": "a file of the model is not the one that was installed; the message has the "
                     "cure",
    "out_of_memory": "the device has too little memory for this job",
    "disk_full": "no room to write stems, uploads or the journal",
    "write_failed": "the stem could not be written; the message has the reason",
    "no_handles": "the server has as many files and connections open as the system allows",
    "no_portaudio": "the PortAudio library is missing, so there is no live audio",
    "no_device": "no such sound device, or it cannot be opened like this, or it is gone",
    "not_live": "live audio is off; send /live/start",
    "no_transport": "the clock is not known; send /live/transport",
    "not_heard": "what was played does not arrive at the input",
    "cancelled": "stopped on request",
    "timed_out": "the deadline passed, or the other side went silent",
    "auth": "a password is needed, or was wrong, or this works on the server's own machine only",
    "stale_chunk": "a chunk for a transfer that has ended",
    "engine_died": "the worker process died and is being restarted; send the job again",
    "interrupted": "the server was stopped during the job and could not go on with it; send it "
                   "again",
    "internal": "our mistake; the log has more",
})
# fmt: on
