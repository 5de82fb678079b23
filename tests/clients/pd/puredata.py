"""A Pd that runs driver.pd: tests write messages to its two [retimbre] and read what they say."""

import re
import socket
import subprocess
import threading
from pathlib import Path

CLIENT = Path(__file__).parents[3] / "clients" / "pd"
DRIVER = Path(__file__).with_name("driver.pd")
PATIENCE_SECONDS = 60.0  # of crowded machines; a quiet one needs a tenth
SEPARATOR = re.compile(r"(?<!\\)[ \n]")


class PureData:
    """One process. It connects to us, so that no port has to be guessed."""

    def __init__(self, command):
        self.messages, self.console = [], []
        self._news = threading.Condition()
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE_SECONDS)
            self._process = subprocess.Popen(
                [
                    command,
                    "-nogui",
                    "-noaudio",
                    "-nomidi",
                    "-noprefs",
                    "-stderr",
                    "-r",
                    "44100",
                    "-path",
                    str(CLIENT),
                    "-open",
                    str(DRIVER),
                    "-send",
                    f"start {server.getsockname()[1]}",
                ],
                stderr=subprocess.PIPE,
                text=True,
            )
            self._connection, _ = server.accept()
        self._ears = [
            threading.Thread(target=self._hear_console),
            threading.Thread(target=self._hear),
        ]
        for ear in self._ears:
            ear.start()

    def _hear_console(self):
        self.console.extend(line.rstrip() for line in self._process.stderr)

    def _hear(self):
        """FUDI: spaces between words, a backslash before a space in one, a semicolon at the end."""
        with self._connection.makefile(encoding="utf-8") as lines:
            for line in lines:
                words = [
                    re.sub(r"\\(.)", r"\1", word) for word in SEPARATOR.split(line.rstrip(";\n"))
                ]
                with self._news:
                    self.messages.append(words)
                    self._news.notify_all()

    def say(self, *words):
        """A message to the driver: say("a", "edit", "left", "a", "violin")."""
        text = " ".join(re.sub(r"([\\ ,;$])", r"\\\1", str(word)) for word in words)
        self._connection.sendall(f"{text};\n".encode())

    def all(self, *first):
        """What followed `first`, of every message that began so."""
        return [
            words[len(first) :] for words in self.messages if words[: len(first)] == list(first)
        ]

    def expect(self, *first, count=1):
        """What followed `first` in the `count`th message that began so."""
        with self._news:
            is_there = self._news.wait_for(lambda: len(self.all(*first)) >= count, PATIENCE_SECONDS)
            assert is_there, (first, self.messages, self.console)
            return self.all(*first)[count - 1]

    def sound(self, *words):
        """Have [soundfiler] read or write an array; its answer: frames."""
        before = len(self.all("sound"))
        self.say("sound", *words)
        return int(self.expect("sound", count=before + 1)[0])

    def close(self):
        self.say("quit")
        self._process.wait(PATIENCE_SECONDS)
        for ear in self._ears:
            ear.join()
        self._connection.close()
        self._process.stderr.close()
