"""A sclang with a scsynth of its own; tests hand it code and read what it tells."""

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

CLIENT = Path(__file__).parents[3] / "clients" / "supercollider"
PATIENCE_SECONDS = 60.0  # of crowded machines; a quiet one needs a tenth
STOP_SECONDS = 10.0
RATE_HZ = 44_100

PROLOGUE = r"""
~json = { |value| case
    { value.isNil } { "null" }
    { value.isKindOf(Boolean) or: { value.isNumber } } { value.asString }
    { value.isString or: { value.isKindOf(Symbol) } } { value.asString.replace("\n", " ").quote }
    { value.isArray } { "[%]".format(value.collect(~json).join(", ")) }
    { value.asString.quote }
};
~tell = { |number, value| "told % %".format(number, ~json.(value)).postln };
s = Server(\own, NetAddr("127.0.0.1", PORT));
s.options.numInputBusChannels = 0;
s.waitForBoot({ ~tell.(0, "booted") }, onFailure: { ~tell.(0, "scsynth did not boot") });
"""


def environment(home):
    """A home without the user's own classes, no screen, and a JACK server of our own."""
    return {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_RUNTIME_DIR": str(home),
        "QT_QPA_PLATFORM": "offscreen",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "JACK_DEFAULT_SERVER": f"retimbre-sc-{os.getpid()}",
        "JACK_NO_AUDIO_RESERVATION": "1",
    }


class Language:
    """One sclang process. `console`: all that it has posted."""

    def __init__(self, command, home):
        self.console, self._told, self._count = [], {}, 0
        self._news = threading.Condition()
        config = home / "sclang.yaml"
        config.write_text(
            json.dumps(
                {"includePaths": [str(CLIENT)], "excludePaths": [], "postInlineWarnings": True}
            )
        )
        self._process = subprocess.Popen(
            [command, "-i", "none", "-l", str(config)],
            env=environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ear = threading.Thread(target=self._hear)
        self._ear.start()
        self._send(PROLOGUE.replace("PORT", str(_free_port())))

    def _hear(self):
        for line in self._process.stdout:
            with self._news:
                self.console.append(line.rstrip())
                if (words := line.removeprefix("sc3> ").split(" ", 2))[0] == "told":
                    self._told[int(words[1])] = json.loads(words[2])
                self._news.notify_all()

    def _send(self, code):
        self._process.stdin.write(" ".join(code.split("\n")) + "\n")  # sclang runs line by line
        self._process.stdin.flush()

    def _tale(self, number):
        with self._news:
            is_there = self._news.wait_for(lambda: number in self._told, PATIENCE_SECONDS)
            assert is_there, "\n".join(self.console[-60:])
            return self._told[number]

    def wait_for_scsynth(self):
        """Returns the reason why there is none, or "booted"."""
        return self._tale(0)

    def run(self, code):
        """Run code in a Routine; the value of its last expression."""
        self._count += 1
        tell = f"~tell.({self._count}, "
        self._send(
            "fork { try { " + tell + "{ " + code + " }.value) } "
            "{ |error| " + tell + '["error", error.errorString]) } }'
        )
        return self._tale(self._count)

    def close(self):
        self._send("s.quit; 0.exit;")
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._ear.join()
        self._process.stdin.close()
        self._process.stdout.close()


def _free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
