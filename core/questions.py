"""What can be asked of the engine besides starting a run. Answers are dataclasses of plain values and numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.specs import DataSpec, LayerSpec, ModelSpec


@dataclass(frozen=True)
class Describe:
    """The layers of a model, checked on shapes alone: nothing is allocated. Answer: Description."""

    model: ModelSpec
    data: DataSpec
    batch_size: int = 64
    input: tuple[int, ...] = ()  # overrides the data set's input shape, without the batch
    classes: int = 0  # overrides the data set's number of classes


@dataclass(frozen=True)
class LayerRow:
    """One line of a Description. Shapes are without the batch; macs are multiply-adds of one sample."""

    name: str
    kind: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    params: int
    macs: int
    receptive_field: int  # pixels of the input that one output cell sees; 0 where the notion does not apply


@dataclass(frozen=True)
class Problem:
    """Why a model cannot work: the guilty layer, a sentence, and one way to mend it."""

    layer: str
    message: str
    fix: str
    mended: tuple[LayerSpec, ...] = ()  # the whole model with the mend applied; empty where no click can mend it


@dataclass(frozen=True)
class Description:
    """The answer to Describe."""

    params: int
    macs: int
    layers: tuple[LayerRow, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Refresh:
    """Make and write the live frame of a run that is not training, for this sample and layer. Answer: None."""

    run: str
    sample: int
    layer: str
    runs: str = ""  # the runs folder; the engine fills it in


@dataclass(frozen=True)
class Doctor:
    """What the workers' machine offers. Answer: dict of plain values (devices, versions)."""


Question = Describe | Refresh | Doctor
Answer = Description | dict[str, Any] | None
