"""OSCQuery: the address table as a tree to browse (github.com/Vidvox/OSCQueryProposal).

    GET /?HOST_INFO         where OSC and the websocket are
    GET /retimbre/edit      one node with all nodes under it; ?TYPE and the like: one attribute
    websocket               LISTEN and IGNORE; binary frames are OSC, in both directions

An address that a client sends to is write-only here (ACCESS 2), one that the server sends is
read-only (1). TYPE has the required arguments. OVERLOADS has the longer forms: with further
arguments, then with each key and its value.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from osc_protocol import ADDRESSES, REPLIES, REQUIRED, ROOT, Address, Arg, Reply
from server.services import Services

Node = dict[str, Any]

NO_VALUE, READABLE, WRITABLE = 0, 1, 2
TAGS = {"id": "s", "any": "s"}  # the other types are OSC's own
NOTHING = "N"  # the type of a message without arguments, as of a button
ATTRIBUTES = (
    "FULL_PATH",
    "CONTENTS",
    "TYPE",
    "ACCESS",
    "VALUE",
    "RANGE",
    "DESCRIPTION",
    "EXTENDED_TYPE",
    "CRITICAL",
    "OVERLOADS",
)
NOT_SUPPORTED = ("TAGS", "UNIT", "CLIPMODE", "HTML")  # the proposal's other attributes
REQUIRED_ATTRIBUTES = ("FULL_PATH", "CONTENTS", "TYPE")
COMMANDS = ("LISTEN", "PATH_CHANGED")


class Names:
    """The choices that the table leaves open: the styles and models that there are now."""

    def __init__(self, services: Services) -> None:
        self._presets = [preset.name for preset in services.library.presets()]
        self._models = [model["name"] for model in services.executor.info.models]

    def of(self, row: Address | Reply, arg: Arg) -> list[str]:
        """The choices for an argument of a row; empty where anything goes."""
        if arg.name == "preset" or (row.name.startswith("preset/") and arg.name == "name"):
            return self._presets
        if arg.name == "model" or (row.name.startswith("model/") and arg.name == "name"):
            return self._models
        return list(arg.choices)


def answer(services: Services, request: web.Request) -> web.Response:
    """A node, or attributes of one.

    Without content (204) for a value that there is not, 400 for no attribute, 404 for no node.
    """
    attributes = list(request.query)
    if "HOST_INFO" in attributes:
        return web.json_response(host_info(services, request))
    node = find(tree(services), request.path)
    if node is None:
        raise web.HTTPNotFound(reason=f"no node {request.rel_url.raw_path}; GET / shows them all")
    unknown = [name for name in attributes if name not in ATTRIBUTES + NOT_SUPPORTED]
    if unknown:
        raise web.HTTPBadRequest(
            reason=f"no attribute {unknown[0][:40]!r}; there are {', '.join(ATTRIBUTES)}"
        )
    is_hidden = "VALUE" in attributes and not node["ACCESS"] & READABLE
    if is_hidden or any(name in NOT_SUPPORTED for name in attributes):
        return web.Response(status=204)
    return web.json_response(
        {name: node[name] for name in attributes if name in node} if attributes else node
    )


def host_info(services: Services, request: web.Request) -> Node:
    """Where the servers are, by the address that this client has reached."""
    own = (
        request.transport.get_extra_info("sockname")[0]
        if request.transport
        else services.config.host
    )
    optional = (*(name for name in ATTRIBUTES if name not in REQUIRED_ATTRIBUTES), *COMMANDS)
    return {
        "NAME": "retimbre",
        "OSC_IP": own,
        "OSC_PORT": services.port,
        "OSC_TRANSPORT": "UDP",
        "WS_IP": own,
        "WS_PORT": services.http_port,
        "EXTENSIONS": dict.fromkeys(optional, True),
    }


def find(root: Node, path: str) -> Node | None:
    """The node at an address, or None."""
    node: Node | None = root
    for name in path.strip("/").split("/"):
        node = node.get("CONTENTS", {}).get(name) if name and node else node
    return node


def tree(services: Services) -> Node:
    """The root node with everything in it."""
    root = _container("/")
    names = Names(services)
    for path in sorted(ADDRESSES.keys() | REPLIES.keys()):
        _place(root, path).update(_method(path, names))
    _place(root, f"{ROOT}/state")["VALUE"] = [services.state]
    return root


def _container(path: str) -> Node:
    return {"FULL_PATH": path, "ACCESS": NO_VALUE}


def _place(root: Node, path: str) -> Node:
    """The node at `path`, made with all that lead to it."""
    node, so_far = root, ""
    for name in path.strip("/").split("/"):
        so_far += f"/{name}"
        node = node.setdefault("CONTENTS", {}).setdefault(name, _container(so_far))
    return node


def _method(path: str, names: Names) -> Node:
    """The node of an address. An address that goes both ways has what a client may send."""
    reply, row = REPLIES.get(path), ADDRESSES.get(path)
    node: Node = {}
    if reply:
        node = {"DESCRIPTION": reply.help, **_signature(reply, reply.args, names)}
    if row:
        needed = [arg for arg in row.args if arg.default is REQUIRED]
        node = {
            "DESCRIPTION": row.help,
            "CRITICAL": row.critical,
            **_signature(row, needed, names),
            "OVERLOADS": _overloads(row, needed, names),
        }
    node["ACCESS"] = READABLE * bool(reply) | WRITABLE * bool(row)
    return {name: value for name, value in node.items() if value not in ("", [])}


def _overloads(row: Address, needed: list[Arg], names: Names) -> list[Node]:
    """One more optional argument each time, then all of them and one key with its value."""
    optional = [arg for arg in row.args if arg.default is not REQUIRED]
    longer = [
        _signature(row, [*needed, *optional[: count + 1]], names) for count in range(len(optional))
    ]
    keyed = [
        {
            "DESCRIPTION": arg.help,
            **_signature(row, [*row.args, Arg("key", "s", choices=(arg.name,)), arg], names),
        }
        for arg in row.keys.values()
    ]
    return longer + keyed


def _signature(row: Address | Reply, args: list[Arg] | tuple[Arg, ...], names: Names) -> Node:
    if not args:
        return {"TYPE": NOTHING}
    return {
        "TYPE": "".join(TAGS.get(arg.type, arg.type) for arg in args),
        "EXTENDED_TYPE": [arg.name for arg in args],
        "RANGE": [_range(arg, names.of(row, arg)) for arg in args],
    }


def _range(arg: Arg, choices: list[str]) -> Node | None:
    if choices:
        return {"VALS": choices}
    if arg.type not in "if":
        return None
    return {
        name: value for name, value in (("MIN", arg.low), ("MAX", arg.high)) if value is not None
    } or None
