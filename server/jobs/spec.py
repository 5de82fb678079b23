"""From a client's words to a job's recipe: what an edit needs, resolved once, so that it can be run
again any time.

The recipe (`spec`) is plain JSON: it stands in the journal, makes the worker's request, and is what
/again changes.
"""

from __future__ import annotations

import difflib
from typing import Any

from presets import Library, PresetError, resolve
from server.errors import RequestError
from server.files.sandbox import FileIdentity, Sandbox
from server.jobs.job import new_seed

NOT_IN_RECIPE = (
    "start",
    "length",
    "preset",
    "model",
    "seed",
    "takes",
    "out",
    "priority",
    "deadline",
    "beats_start",
)


class Recipes:
    """Makes recipes. `default_model` is used where neither a key nor the preset names one."""

    def __init__(self, library: Library, sandbox: Sandbox, default_model: str) -> None:
        self.library, self.sandbox, self.default_model = library, sandbox, default_model

    def edit(self, audio: str, text: str, keys: dict[str, Any]) -> dict[str, Any]:
        """A new recipe. Touches the disk: call it from a file thread. Raises RequestError."""
        preset = self._preset(keys.get("preset", ""), text)
        _check_words(text, preset)
        return self._complete({}, self.sandbox.audio_file(audio), text, preset, keys)

    def again(self, old: dict[str, Any], keys: dict[str, Any]) -> dict[str, Any]:
        """An old recipe with changes; without any, the same seed and so the same audio. Raises
        RequestError.
        """
        preset = self._preset(keys["preset"], old["text"]) if "preset" in keys else old["preset"]
        _check_words(old["text"], preset)
        return self._complete(
            old, self.sandbox.audio_file(old["audio"]["path"]), old["text"], preset, keys
        )

    def _complete(
        self,
        old: dict[str, Any],
        audio: FileIdentity,
        text: str,
        preset: dict[str, Any] | None,
        keys: dict[str, Any],
    ) -> dict[str, Any]:
        def chosen(name: str, default: Any) -> Any:
            return keys.get(name, old.get(name, default))

        takes = chosen("takes", 1)
        return {
            "audio": vars(audio),
            "text": text,
            "preset": preset,
            "model": self._model(old, preset, keys),
            "start": chosen("start", 0.0),
            "length": chosen("length", 0.0),
            "takes": takes,
            "seed": _seed(old, preset, keys, takes),
            "out": self._out(keys["out"]) if keys.get("out") else old.get("out", ""),
            "beats_start": chosen("beats_start", 0.0),
            "priority": keys.get("priority", 0),
            "deadline": keys.get("deadline", 0.0),
            "keys": {
                **old.get("keys", {}),
                **{name: value for name, value in keys.items() if name not in NOT_IN_RECIPE},
            },
            "context": {},
        }

    def check_preset(self, name: str) -> None:
        """Raises RequestError(unknown_preset) that names the nearest; no name is always right."""
        self._preset(name, "")

    def _preset(self, name: str, text: str) -> dict[str, Any] | None:
        if not name:
            return None
        try:
            return resolve(self.library.find(name), text).to_json()
        except PresetError as error:
            raise RequestError(error.code, error.message) from error

    def _model(
        self, old: dict[str, Any], preset: dict[str, Any] | None, keys: dict[str, Any]
    ) -> str:
        asked = keys.get("model") or ("" if "preset" in keys else old.get("model", ""))
        plays = preset["model"] if preset else ""
        if asked and plays and asked != plays:
            raise RequestError(
                "bad_args",
                f"preset {preset['name']} plays on model {plays}, and model {asked} was asked "
                "for; leave the model out",
            )
        return asked or plays or self.default_model

    def _out(self, folder: str) -> str:
        return str(self.sandbox.folder(folder))


def _seed(
    old: dict[str, Any], preset: dict[str, Any] | None, keys: dict[str, Any], takes: int
) -> int:
    """The key's, else the old job's, else the preset's; -1 in any of them: a new one."""
    stated = [keys.get("seed"), old.get("seed"), preset["seed"] if preset else None]
    seed = next((seed for seed in stated if seed is not None), -1)
    return seed if seed >= 0 else new_seed(takes)


def _check_words(text: str, preset: dict[str, Any] | None) -> None:
    if not text.strip() and not preset:
        raise RequestError(
            "bad_args",
            'text: expected what to do, in words ("turn this into a violin"), or a preset; '
            "neither came",
        )


def check_model(name: str, models: list[dict[str, Any]]) -> None:
    """Raises RequestError(unknown_model) that names the nearest; passes where the engine has not said
    what it has.
    """
    names = [model["name"] for model in models]
    if name and names and name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise RequestError(
            "unknown_model",
            f"no model is called {name!r}; "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"),
        )
