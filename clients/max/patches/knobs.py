"""Which knobs has the Live device, and how does a Live Set keep them?"""

from __future__ import annotations

from typing import Any, NamedTuple

FLOAT, INT, ENUM = 0, 1, 2  # parameter_type of live.* objects


class Knob(NamedTuple):
    """A dial or a number box; the range is the protocol's."""

    name: str
    low: float
    high: float
    start: float
    kind: int = FLOAT


KNOBS = (
    Knob("strength", 0.0, 2.0, 1.0),
    Knob("fidelity", 0.0, 2.0, 1.0),
    Knob("guidance", 0.0, 10.0, 3.0),
    Knob("steps", 1, 100, 8, INT),
    Knob("pooling", 1, 8, 2, INT),
)
BLEND = Knob("blend", 0.0, 1.0, 0.0)  # between the two style menus
SEED = Knob("seed", -1, 2**24 - 1, -1, INT)  # -1: any


def parameter(knob: Knob) -> dict[str, Any]:
    """The attributes that make a live.* object a parameter of the Live Set."""
    value = {
        "parameter_initial": [knob.start],
        "parameter_initial_enable": 1,
        "parameter_longname": knob.name,
        "parameter_mmax": float(knob.high),
        "parameter_mmin": float(knob.low),
        "parameter_modmode": 0,
        "parameter_shortname": knob.name,
        "parameter_type": knob.kind,
        "parameter_unitstyle": 1 - knob.kind,
    }
    return _to_saved(knob.name, value)


def switch(name: str) -> dict[str, Any]:
    """The attributes that make a live.toggle a parameter: off at the start."""
    value = {
        "parameter_enum": ["off", "on"],
        "parameter_initial": [0],
        "parameter_initial_enable": 1,
        "parameter_longname": name,
        "parameter_mmax": 1,
        "parameter_modmode": 0,
        "parameter_shortname": name,
        "parameter_type": ENUM,
    }
    return _to_saved(name, value)


def _to_saved(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameter_enable": 1,
        "varname": name,
        "saved_attribute_attributes": {"valueof": value},
    }
