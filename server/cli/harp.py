"""Offer a running server to HARP, the free external editor to which a DAW hands a region.

Needs the extra [harp] (gradio, about 500 MB). In HARP, open the address that this prints as a
custom path. The contract is that of pyharp 0.3.0 (github.com/TEAMuP-dev/pyharp): three named Gradio
endpoints, `controls`, `process` and `cancel`. pyharp itself is not on PyPI, where that name belongs
to another project, and the part of it that is needed is one table, so it stands here.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retimbre_client import AsyncClient, ClientError, Progress

from server import config
from server.cli.errors import EXIT_OK, CliError
from server.cli.session import session
from server.config import ClientConfig

if TYPE_CHECKING:
    import gradio

HARP_PORT = 11023
NO_STYLE, NO_STRENGTH = "no style, only your words", "as the style says"
STRENGTHS = (NO_STRENGTH, "0.25", "0.5", "0.75", "1", "1.25", "1.5")
CARD = {
    "name": "retimbre",
    "description": "Turns a region into a stem that drops into the same place: the same notes, "
    "another instrument. It says what it is with a few words, a style, or both.",
    "author": "retimbre",
    "tags": ["timbre transfer", "audio-to-audio"],
}

Connect = Callable[[], AsyncClient]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where HARP finds us, and where the server is."""
    parser.add_argument(
        "--harp-port",
        metavar="N",
        type=int,
        default=HARP_PORT,
        help="TCP port for HARP, on this machine only (default %(default)s)",
    )
    config.add_arguments(parser.add_argument_group("server"), ClientConfig)


def run(arguments: argparse.Namespace) -> int:
    """Serve HARP until ctrl-C."""
    options = config.build(ClientConfig, vars(arguments))
    with session(options, may_start=False) as server:
        styles = [preset["name"] for preset in server.client.presets()]
        host, port = server.client.host, server.client.port

    def connect() -> AsyncClient:  # HARP's files are Gradio's, so they are sent and not named
        return AsyncClient(
            host,
            port,
            shares_disk=False,
            password=options.password(),
            name="HARP",
            silence_seconds=options.silence_seconds,
        )

    with tempfile.TemporaryDirectory(prefix="retimbre-harp-") as folder:
        app = build(connect, styles, Path(folder))
        try:
            app.launch(
                server_name="127.0.0.1",
                server_port=arguments.harp_port,
                share=False,
                quiet=True,
                allowed_paths=[folder],
                prevent_thread_lock=True,
                show_error=True,
            )
        except OSError as error:
            raise CliError("not_ready", f"{error}; choose another with --harp-port") from error
        print(f"in HARP, open the custom path {app.local_url} ; ctrl-C stops", flush=True)
        with contextlib.closing(app):
            app.block_thread()
    return EXIT_OK


def build(connect: Connect, styles: list[str], folder: Path) -> gradio.Blocks:
    """The Gradio app: `folder` gets the stems. Raises CliError when gradio is missing."""
    try:
        import gradio
    except ImportError as error:
        raise CliError(
            "not_ready", "gradio is not installed; pip install 'retimbre[harp]'"
        ) from error

    with gradio.Blocks(title="retimbre", analytics_enabled=False) as app:
        inputs = [
            gradio.Audio(label="Region", type="filepath"),
            gradio.Textbox(label="What to do", value="turn this into a violin"),
            gradio.Dropdown(label="Style", choices=[NO_STYLE, *styles], value=NO_STYLE),
            gradio.Dropdown(
                label="Listen to the source", choices=list(STRENGTHS), value=NO_STRENGTH
            ),
            gradio.Textbox(label="Seed", value="-1", info="-1: another each time"),
        ]
        outputs = [
            gradio.Audio(label="Stem", type="filepath"),
            gradio.JSON(label="How it was made"),
        ]
        controls = {
            "card": CARD,
            "inputs": [_describe(each) for each in inputs],
            "outputs": [_describe(each) for each in outputs],
        }
        process = _processor(gradio, connect, folder)
        shown = gradio.JSON(label="Controls")
        gradio.Button("View controls").click(lambda: controls, [], shown, api_name="controls")
        running = gradio.Button("Process").click(process, inputs, outputs, api_name="process")
        gradio.Button("Cancel").click(lambda: None, [], [], api_name="cancel", cancels=[running])
    return app.queue()


def _processor(gradio: Any, connect: Connect, folder: Path) -> Callable[..., Any]:
    """The function behind the button; its parameters are the inputs, in their order."""

    async def process(
        audio: str,
        text: str,
        style: str,
        strength: str,
        seed: str,
        bar: Any = gradio.Progress(),  # noqa: B008 (Gradio looks for it there)
    ) -> tuple[str, dict[str, Any]]:
        def show(progress: Progress) -> None:
            bar(max(0.0, progress.fraction), desc=progress.stage)

        try:
            keys = _keys(style, strength, seed)
            return await _edit(connect, folder, audio, text, keys, show)
        except (ClientError, ValueError) as error:
            raise gradio.Error(str(error)) from error

    return process


def _describe(component: Any) -> dict[str, Any]:
    """What HARP builds its own control from."""
    kind, attributes = {
        "audio": ("audio_track", ()),
        "textbox": ("text_box", ("value",)),
        "json": ("json", ()),
        "dropdown": ("dropdown", ("choices", "value")),
    }[component.get_block_name()]
    described = {
        "type": kind,
        "label": component.label,
        "info": getattr(component, "info", None) or "",
    }
    if kind == "audio_track":
        described["required"] = True
    return described | {name: getattr(component, name) for name in attributes}


def _keys(style: str, strength: str, seed: str) -> dict[str, Any]:
    """The keys of /edit. Raises ValueError for a seed that is none."""
    try:
        keys: dict[str, Any] = {"seed": int(seed or -1)}
    except ValueError as error:
        raise ValueError(f"seed: expected a whole number, came {seed!r}") from error
    if style != NO_STYLE:
        keys["preset"] = style
    if strength != NO_STRENGTH:
        keys["strength"] = float(strength)
    return keys


async def _edit(
    connect: Connect,
    folder: Path,
    audio: str,
    text: str,
    keys: dict[str, Any],
    on_progress: Callable[[Progress], None],
) -> tuple[str, dict[str, Any]]:
    """Run one job: the stem's file and pyharp's label list. Cancelling this cancels the job."""
    async with connect() as client:
        outcome = await client.edit(audio, text, on_progress=on_progress, **keys)
        stem = outcome.stems[0]
        path = await client.fetch(stem, folder / f"{outcome.job_id}-{stem.path.name}")
    label = {
        "label_type": "OutputLabel",
        "t": 0.0,
        "label": f"{stem.name}, seed {outcome.seed}",
        "duration": 0.0,
        "description": f"made in {outcome.seconds:.1f} s; {outcome.manifest}",
        "color": 0,
        "link": None,
    }
    return str(path), {"meta": {"_type": "pyharp.LabelList"}, "labels": [label]}
