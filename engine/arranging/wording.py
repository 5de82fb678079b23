"""What do the words ask for: another sound, further stems, or another genre?

    "turn this into a violin"            timbre
    "add a walking upright bass"         accompaniment: bass, in jazz, played by "upright bass"
    "bass and brushed drums, please"     (as an accompaniment) two stems
    "as a bossa nova", "jazz version"    genre: the tune, and the band of that genre

A table of words for roles and, from GENRES, for genres; what is left of the text is how the part
should sound.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.arranging.genres import GENRES
from engine.arranging.vocabulary import FILLERS, PLAIN, ROLE_WORDS, UNHEARD

TUNE, MIX = "tune", "mix"

ADDS = re.compile(
    r"^\W*(?:please |can you |could you )*"
    r"(?:add|accompany|put|lay|play along|give (?:me|it)|write|bring in|i need|we need|"
    r"harmoni[sz]e)\b",
    re.IGNORECASE,
)
RESTYLES = re.compile(r"\b(?:version|style|genre|r?e?arrange\w*|remix|cover|feel)\b", re.IGNORECASE)
PART = re.compile(
    r"\b(?:bass|drum|guitar|piano|string|backing) (?:line|track|part|stem|loop)s?\b", re.IGNORECASE
)
SEVERAL = re.compile(
    r"^(?!.*\b(?:turn|make|sound|convert|change|into|as|like|replace|play|instrument)\b)",
    re.IGNORECASE,
)
AS_A_MIX = re.compile(r"\b(?:mix|mixed|mixdown|one file|full band together)\b", re.IGNORECASE)
SEPARATORS = re.compile(r"\s*(?:,|;|\+|&|/|\band\b|\bplus\b|\bwith\b)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class RequestedPart:
    """One stem that is asked for: its role in the arranger, and what it should sound like."""

    role: str
    sound: str = ""  # empty: as the genre has it


@dataclass(frozen=True)
class Intent:
    """What a text asks for.

    `genre` is empty where it names none; `parts` where it leaves them to the genre.
    """

    task: str
    genre: str = ""
    parts: tuple[RequestedPart, ...] = ()
    is_mix: bool = False


def parse_intent(text: str, task: str = "") -> Intent:
    """What a text asks for.

    `task`: the preset's; empty: the words decide, and in doubt they name a sound (timbre).
    """
    genre = genre_in(text)
    task = task or _task(text, genre)
    if task == "accompaniment":
        return Intent(task, genre, parts_in(text, genre) or (RequestedPart("chords"),))
    return Intent(task, genre, (), bool(AS_A_MIX.search(text))) if task == "genre" else Intent(task)


def genre_in(text: str) -> str:
    """The genre that a text names first; empty: none."""
    by_word, pattern = _genre_words()
    return by_word[found.group().lower()] if (found := pattern.search(text)) else ""


def parts_in(text: str, genre: str = "") -> tuple[RequestedPart, ...]:
    """The parts that a text asks for, in its order; a phrase without a role says more about the one
    before.
    """
    parts: list[RequestedPart] = []
    own = _names_of(genre)
    for phrase in filter(None, SEPARATORS.split(text)):
        role, sound = _role(phrase), _sound(phrase, own)
        if role is None and sound and parts:
            parts[-1] = RequestedPart(
                parts[-1].role, " ".join(filter(None, (sound, parts[-1].sound or parts[-1].role)))
            )
        elif role or sound:
            parts.append(RequestedPart(role or "counter", sound))
    return tuple(_once(parts))


def _task(text: str, genre: str) -> str:
    if (
        ADDS.search(text)
        or PART.search(text)
        or SEVERAL.search(text)
        and len(parts_in(text, genre)) > 1
    ):
        return "accompaniment"
    names = _names_of(genre)
    # "jazz guitar" is a sound
    is_genre_alone = all(word in names for word in _words(text) if word not in FILLERS)
    return (
        "genre"
        if genre and (is_genre_alone or RESTYLES.search(text) and not _role(text))
        else "timbre"
    )


def _names_of(genre: str) -> set[str]:
    """The single words of which a genre's names are made; none of no genre."""
    return {word for names in (GENRES[genre].words if genre else ()) for word in names.split()}


@lru_cache(maxsize=1)
def _genre_words() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """Word -> genre, without those that name a role; and what finds them."""
    roles = {word for words in ROLE_WORDS.values() for word in words}
    by_word = {
        word: name for name, genre in GENRES.items() for word in genre.words if word not in roles
    }
    return by_word, _any_of(by_word)


def _role(phrase: str) -> str | None:
    return next((role for role in ROLE_WORDS if _role_pattern(role).search(phrase)), None)


@lru_cache
def _role_pattern(role: str) -> re.Pattern[str]:
    return _any_of(ROLE_WORDS[role])


def _any_of(words: Collection[str]) -> re.Pattern[str]:
    """Whole words, the longest first."""
    ordered = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{ordered})(?![\w-])", re.IGNORECASE)


def _sound(phrase: str, genre_words: Collection[str]) -> str:
    """The words that say how it sounds; none where only the role is named."""
    left = [word for word in _words(phrase) if word not in FILLERS]
    if all(word in PLAIN or word in genre_words for word in left):
        return ""
    return " ".join(word for word in left if word not in UNHEARD)


def _once(parts: Sequence[RequestedPart]) -> list[RequestedPart]:
    """One part for each role: the first."""
    return list({part.role: part for part in reversed(parts)}.values())[::-1]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'#-]+", text.lower())
