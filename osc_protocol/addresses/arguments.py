"""Arguments that several addresses share."""

from __future__ import annotations

from osc_protocol.addresses.constants import PATH_BYTES, STATES
from osc_protocol.rows import Arg

# fmt: off
ID = Arg("id", "id", help="yours to choose; 0 or an empty string: the server chooses, see /ack")
LOAD_ID = Arg("id", "id", default=0, help="names this load in /progress and /cancel")
AUDIO = Arg("audio", "s", high=PATH_BYTES,
            help="a file under an allowed root, or the handle of an upload")
START = Arg("start", "f", "seconds", low=0, default=0.0, help="where the region begins in the file")
LENGTH = Arg("length", "f", "seconds", low=0, default=0.0, help="0: to the end of the file")
COUNT = Arg("count", "i", low=0, help="how many items came before")
ETA = Arg("eta", "f", "seconds", low=-1, help="-1: unknown")
QUEUE_POSITION = Arg("queue_position", "i", low=0, help="0: it runs")
FRACTION = Arg("fraction", "f", low=-1, high=1, help="never falls; -1: unknown")
STATE = Arg("state", "s", choices=STATES)
RATE = Arg("rate", "i", "Hz", low=1)
CHANNELS = Arg("channels", "i", low=1)
FRAMES = Arg("frames", "i", low=0)
# fmt: on
