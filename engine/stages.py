"""Of which graphs is a model made? Each stage has named inputs and outputs, with types and axes.

The table of a family's stages is the only description of its graphs: export writes them from it, a
runtime checks them against it when it loads them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """An input or output of a stage. In `axes` a letter is a dynamic axis, a number a fixed one."""

    name: str
    axes: tuple[str | int, ...]
    dtype: str = "float32"

    @property
    def dynamic(self) -> dict[int, str]:
        """Axis number -> letter, as torch.onnx.export wants it."""
        return {index: axis for index, axis in enumerate(self.axes) if isinstance(axis, str)}


@dataclass(frozen=True)
class Stage:
    """One graph of a family; its file is `<name>.onnx`."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(port.name for port in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(port.name for port in self.outputs)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Port name -> {axis number: letter}."""
        return {port.name: port.dynamic for port in (*self.inputs, *self.outputs)}
