"""The generated patches are what the script writes, and Max documents every object and cord."""

import json
import re
import struct

import pytest

from tests.clients.max.conftest import CLIENT
from tests.clients.studio import load_script

# Where the reference does not list the ports: udpsend's only inlet; sfplay~ with two channels, and
# a bang at the end.
UNDOCUMENTED_PORTS = {"udpsend": (1, 0), "sfplay~": (2, 3)}
EXTRA_ATTRIBUTES = {
    "text",
    "items",
    "varname",
    "parameter_enable",
    "index",
    "comment",
    "presentation",
    # every box may have these
    "saved_attribute_attributes",
    "fontsize",
    "ignoreclick",
}
BOX_KEYS = {
    "id",
    "maxclass",
    "numinlets",
    "numoutlets",
    "outlettype",
    "patching_rect",
    "presentation_rect",
}


def device():
    return patcher_of((CLIENT / "Retimbre.amxd").read_bytes())


def patcher_of(container):
    """The patcher in an .amxd, read chunk by chunk."""
    chunks, place = {}, 0
    while place < len(container):
        name, length = struct.unpack_from("<4sI", container, place)
        chunks[name] = container[place + 8 : place + 8 + length]
        assert len(chunks[name]) == length
        place += 8 + length
    assert list(chunks) == [b"ampf", b"meta", b"ptch"] and chunks[b"ampf"] == b"aaaa"
    return json.loads(chunks[b"ptch"].rstrip(b"\0"))["patcher"]


def patchers():
    return {
        "abstraction": json.loads((CLIENT / "retimbre.maxpat").read_bytes())["patcher"],
        "help": json.loads((CLIENT / "retimbre.maxhelp").read_bytes())["patcher"],
        "device": device(),
    }


@pytest.fixture(params=patchers())
def patcher(request):
    return patchers()[request.param]


def boxes_of(patcher):
    return {box["id"]: box for box in (entry["box"] for entry in patcher["boxes"])}


def kind_of(box):
    return box["text"].split()[0] if box["maxclass"] == "newobj" else box["maxclass"]


def test_the_committed_files_are_what_the_script_writes(build):
    for path, data in build.files().items():
        assert path.read_bytes() == data, f"{path.name} is stale: python clients/max/build.py"


def test_every_cord_joins_two_ports_that_are_there(patcher):
    boxes = boxes_of(patcher)
    for line in patcher["lines"]:
        (source, outlet), (target, inlet) = (
            line["patchline"]["source"],
            line["patchline"]["destination"],
        )
        assert outlet < boxes[source]["numoutlets"] and inlet < boxes[target]["numinlets"]


def test_no_cord_is_there_twice(patcher):
    cords = [json.dumps(line) for line in patcher["lines"]]
    assert len(cords) == len(set(cords))


def test_every_object_has_the_ports_that_the_reference_gives_it(patcher):
    porttypes = pytest.importorskip("py2max.maxref.porttypes")
    for box in boxes_of(patcher).values():
        kind = kind_of(box)
        # their ports are their scripts' and patches' own
        if kind in ("js", "retimbre", "inlet", "outlet"):
            continue
        expected = UNDOCUMENTED_PORTS.get(kind) or porttypes.port_counts(kind, box.get("text"))
        if kind not in ("prepend", "route", "unpack", "trigger"):
            assert (box["numinlets"], box["numoutlets"]) == expected, box
        else:
            assert box["numoutlets"] == expected[1], box


def test_every_cord_carries_what_its_inlet_takes(patcher):
    maxref = pytest.importorskip("py2max.maxref")
    boxes = boxes_of(patcher)
    for line in patcher["lines"]:
        (source, outlet), (target, inlet) = (
            line["patchline"]["source"],
            line["patchline"]["destination"],
        )
        kinds = kind_of(boxes[source]), kind_of(boxes[target])
        if not {"js", "retimbre", "udpsend"} & set(kinds):
            fits, why = maxref.validate_connection(
                kinds[0],
                outlet,
                kinds[1],
                inlet,
                boxes[source].get("text"),
                boxes[target].get("text"),
            )
            assert fits, why


def test_every_object_and_attribute_is_documented(patcher):
    maxref = pytest.importorskip("py2max.maxref.parser")
    for box in boxes_of(patcher).values():
        if kind_of(box) == "retimbre":
            continue
        entry = maxref.get_object_info(kind_of(box))
        assert entry, f"{kind_of(box)} is no object of Max's"
        unknown = box.keys() - BOX_KEYS - EXTRA_ATTRIBUTES - entry["attributes"].keys()
        assert not unknown, (kind_of(box), unknown)


@pytest.mark.parametrize(
    ("script", "box"),
    [("retimbre.js", "js retimbre.js"), ("retimbre-live.js", "js retimbre-live.js")],
)
def test_a_scripts_ports_are_its_boxes(script, box):
    text = (CLIENT / script).read_text()
    ports = tuple(
        int(re.search(rf"^{name} = (\d+);", text, re.M)[1]) for name in ("inlets", "outlets")
    )
    [found] = [one for one in boxes_of(device()).values() if one.get("text") == box]
    assert (found["numinlets"], found["numoutlets"]) == ports


def test_what_is_shown_in_the_device_fits_and_does_not_overlap():
    shown = [
        box["presentation_rect"] for box in boxes_of(device()).values() if box.get("presentation")
    ]
    for index, (x, y, width, height) in enumerate(shown):
        assert x + width <= 560 and y + height <= 169
        for other_x, other_y, other_width, other_height in shown[index + 1 :]:
            across = min(x + width, other_x + other_width) - max(x, other_x)
            down = min(y + height, other_y + other_height) - max(y, other_y)
            assert across <= 0 or down <= 0, ((x, y), (other_x, other_y))


def test_the_devices_parameters_have_names_of_their_own():
    names = [box["varname"] for box in boxes_of(device()).values() if "varname" in box]
    assert len(names) == len(set(names))
    assert device()["parameters"].keys() <= boxes_of(device()).keys()


def test_knobs_span_what_the_protocol_allows():
    from osc_protocol import EDIT_KEYS

    for name, low, high, start, _ in load_script(CLIENT / "patches" / "knobs.py").KNOBS:
        assert (low, high) == (EDIT_KEYS[name].low, EDIT_KEYS[name].high) and low <= start <= high
