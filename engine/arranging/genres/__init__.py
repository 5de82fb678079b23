"""The table of genres.

To add one, write its file beside the others and its row here; genre.py explains the signs.
"""

from collections.abc import Mapping

from engine.arranging.genre import DRUMS, VOICINGS, Drums, Genre, Harmony
from engine.arranging.genres.ambient import AMBIENT
from engine.arranging.genres.blues import BLUES
from engine.arranging.genres.bossa_nova import BOSSA_NOVA
from engine.arranging.genres.disco import DISCO
from engine.arranging.genres.folk import FOLK
from engine.arranging.genres.funk import FUNK
from engine.arranging.genres.hip_hop import HIP_HOP
from engine.arranging.genres.house import HOUSE
from engine.arranging.genres.jazz import JAZZ
from engine.arranging.genres.orchestral import ORCHESTRAL
from engine.arranging.genres.reggae import REGGAE
from engine.arranging.genres.rock import ROCK
from engine.arranging.genres.salsa import SALSA
from engine.arranging.genres.techno import TECHNO
from engine.arranging.genres.waltz import WALTZ

GENRES: Mapping[str, Genre] = {
    "jazz": JAZZ,
    "bossa nova": BOSSA_NOVA,
    "waltz": WALTZ,
    "techno": TECHNO,
    "house": HOUSE,
    "rock": ROCK,
    "funk": FUNK,
    "reggae": REGGAE,
    "hip-hop": HIP_HOP,
    "ambient": AMBIENT,
    "orchestral": ORCHESTRAL,
    "folk": FOLK,
    "blues": BLUES,
    "salsa": SALSA,
    "disco": DISCO,
}

__all__ = ["DRUMS", "GENRES", "VOICINGS", "Drums", "Genre", "Harmony"]
