"""Which sounds can nano play, and by which words do people ask for them?

Training uses `words` and never `held_out_words`. The evaluation asks with those, to see whether the
sentence encoder carries a sound's meaning to a word that training did not use.
"""

from __future__ import annotations

from typing import NamedTuple

PERCUSSION = 128  # General MIDI's bank of kits


class Instrument(NamedTuple):
    name: str
    program: int  # General MIDI, from 0
    group: str
    words: tuple[str, ...]
    held_out_words: tuple[str, ...] = ()
    bank: int = 0


# fmt: off
INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("piano", 0, "keys", ("piano", "grand piano", "acoustic piano", "concert grand", "pianoforte"), ()),
    Instrument("electric piano", 4, "keys", ("electric piano", "rhodes", "fender rhodes", "e-piano", "suitcase piano"), ()),
    Instrument("harpsichord", 6, "keys", ("harpsichord", "baroque harpsichord", "cembalo", "clavecin"), ()),
    Instrument("clavinet", 7, "keys", ("clavinet", "clav", "funky clavinet"), ()),
    Instrument("celesta", 8, "mallets", ("celesta", "celeste", "music box", "toy piano"), ("glass bells",)),
    Instrument("vibraphone", 11, "mallets", ("vibraphone", "vibes", "jazz vibraphone"), ("vibraharp",)),
    Instrument("marimba", 12, "mallets", ("marimba", "wooden mallets", "balafon"), ()),
    Instrument("xylophone", 13, "mallets", ("xylophone", "wooden xylophone"), ()),
    Instrument("drawbar organ", 16, "organ", ("drawbar organ", "hammond organ", "jazz organ", "electric organ", "hammond b3"), ()),
    Instrument("church organ", 19, "organ", ("church organ", "pipe organ", "cathedral organ"), ("chapel organ",)),
    Instrument("accordion", 21, "organ", ("accordion", "squeezebox", "musette accordion"), ("bandoneon",)),
    Instrument("harmonica", 22, "organ", ("harmonica", "mouth organ", "blues harp"), ()),
    Instrument("nylon guitar", 24, "guitar", ("nylon guitar", "classical guitar", "spanish guitar", "acoustic guitar", "flamenco guitar"), ()),
    Instrument("jazz guitar", 26, "guitar", ("jazz guitar", "mellow electric guitar", "clean electric guitar"), ("archtop guitar",)),
    Instrument("distorted guitar", 30, "guitar", ("distorted guitar", "heavy metal guitar", "overdriven electric guitar", "rock guitar", "fuzz guitar"), ()),
    Instrument("bass guitar", 33, "bass", ("bass guitar", "electric bass", "fingered bass", "bass"), ("four string bass",)),
    Instrument("synth bass", 38, "bass", ("synth bass", "analog bass", "acid bass", "moog bass"), ()),
    Instrument("violin", 40, "strings", ("violin", "solo violin", "viola", "fiddle"), ()),
    Instrument("cello", 42, "strings", ("cello", "violoncello", "solo cello"), ()),
    Instrument("pizzicato strings", 45, "strings", ("pizzicato strings", "plucked strings", "pizzicato"), ("plucked violins",)),
    Instrument("harp", 46, "strings", ("harp", "orchestral harp", "concert harp", "celtic harp"), ()),
    Instrument("string ensemble", 48, "strings", ("string ensemble", "string section", "orchestral strings", "strings", "string orchestra"), ()),
    Instrument("choir", 52, "voice", ("choir", "choir aahs", "singing voices", "vocal choir"), ("chorus of voices",)),
    Instrument("trumpet", 56, "brass", ("trumpet", "solo trumpet", "jazz trumpet"), ("cornet",)),
    Instrument("trombone", 57, "brass", ("trombone", "slide trombone"), ()),
    Instrument("french horn", 60, "brass", ("french horn", "horn", "orchestral horn"), ()),
    Instrument("brass section", 61, "brass", ("brass section", "big band brass", "horn section", "brass"), ("brass ensemble",)),
    Instrument("saxophone", 65, "reeds", ("saxophone", "alto sax", "sax", "tenor saxophone", "alto saxophone"), ()),
    Instrument("oboe", 68, "reeds", ("oboe", "english horn", "solo oboe"), ()),
    Instrument("clarinet", 71, "reeds", ("clarinet", "solo clarinet"), ("bass clarinet",)),
    Instrument("flute", 73, "pipes", ("flute", "transverse flute", "solo flute"), ("piccolo flute",)),
    Instrument("pan flute", 75, "pipes", ("pan flute", "pan pipes", "panpipe"), ("zampona",)),
    Instrument("synth lead", 81, "synth", ("synth lead", "saw lead", "sawtooth synthesizer", "lead synth", "supersaw"), ()),
    Instrument("square synth", 80, "synth", ("square synth", "chiptune", "square wave synthesizer", "8-bit synth"), ("game boy",)),
    Instrument("synth pad", 89, "synth", ("synth pad", "warm pad", "ambient pad", "soft synthesizer pad", "dreamy pad"), ()),
    Instrument("sitar", 104, "plucked", ("sitar", "indian sitar"), ()),
    Instrument("banjo", 105, "plucked", ("banjo", "bluegrass banjo"), ()),
)

# The notes of a kit are hits.
KITS: tuple[Instrument, ...] = (
    Instrument("drum kit", 0, "drums", ("drum kit", "acoustic drums", "standard drum kit", "drums"), ("trap set",), PERCUSSION),
    Instrument("rock drums", 16, "drums", ("rock drum kit", "power drums", "rock drums", "big drums"), ("stadium drums",), PERCUSSION),
    Instrument("electronic drums", 24, "drums", ("electronic drums", "electronic drum machine", "synth drums"), ("techno drums",), PERCUSSION),
    Instrument("808", 25, "drums", ("808 drum machine", "808 drums", "tr-808", "hip hop drum machine"), ("trap beat machine",), PERCUSSION),
    Instrument("brushed drums", 40, "drums", ("brushed jazz drums", "drums with brushes", "brushed drums", "jazz drums"), ("brushes on a snare",), PERCUSSION),
    Instrument("orchestral percussion", 48, "drums", ("orchestral percussion", "concert percussion", "timpani and cymbals"), ("symphonic drums",), PERCUSSION),
)
# The judge does not know them.
UNJUDGED: tuple[Instrument, ...] = (
    Instrument("upright bass", 32, "bass", ("upright bass", "double bass", "acoustic bass", "contrabass", "walking bass"), ("jazz bass fiddle",)),
)
SOUNDS = INSTRUMENTS + KITS + UNJUDGED  # a label in the training data is a row of this table

# fmt: on

SOURCE_ONLY_KITS: tuple[int, ...] = (8, 32)  # appear only as sources
# Sounds that appear only as sources, so that a region need not come from the table above.
# fmt: off
SOURCE_ONLY_PROGRAMS: tuple[int, ...] = (
    1, 2, 3, 5, 9, 10, 14, 15, 17, 18, 20, 23, 25, 27,
    28, 29, 32, 34, 35, 36, 39, 41, 43, 44, 49, 50, 51, 53,
    54, 58, 59, 62, 63, 64, 66, 67, 69, 70, 72, 74, 76, 77,
    78, 79, 82, 85, 87, 88, 90, 91, 106, 107, 108, 109, 110, 111,
)
# fmt: on

TEMPLATES: tuple[str, ...] = (
    "{}",
    "{}",
    "a {}",
    "turn this into a {}",
    "turn this into {}",
    "make it sound like a {}",
    "play it on a {}",
    "{} please",
    "make this a {}",
    "change the instrument to {}",
    "I want a {}",
    "convert to {}",
    "as a {}",
    "{} sound",
    "sounds like a {}",
    "replace it with a {}",
    "could you play this with a {}?",
    "a recording of a {}",
    "this melody played by a {}",
    "Turn it into a {}.",
)
