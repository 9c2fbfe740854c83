"""Options that several attribution methods share, and what their prices are made of."""

from dataclasses import dataclass

from core.catalog.entries import TOKENS, Size
from core.options import Options, _, option

BASELINES = ("black", "zero", "mean", "blur", "noise", "sample", "pad")


@dataclass(frozen=True)
class Baselined(Options):
    """What the input is compared with."""

    baseline: str = option(
        "black",
        _("What the input is compared with. black: an empty picture, or nothing (zeros) where there is no picture; "
          "zero: the value 0 after normalisation, which is the mean grey; mean: the mean training sample; blur: the "
          "input, blurred; noise: random values; sample: another test sample. For tokens black, zero and pad are the "
          "padding's vector, mean is the mean vector of the vocabulary, noise a random token."),
        choices=BASELINES,
    )  # fmt: skip
    baseline_sample: int = option(0, _("The test sample to compare with."), label=_("sample"), low=0, high=1_000_000,
                                  applies=lambda o: o.baseline == "sample")  # fmt: skip


def forwards(count: float) -> float:
    """Units of `count` forward passes without a backward pass, which counts as two of them."""
    return count / 3


def pieces(size: Size, side: int) -> int:
    """How many pieces a sample has: squares of side × side pixels of a picture, else steps or features."""
    if size.form.kind == "picture":
        _channels, height, width = size.form.shape
        return -(-height // side) * -(-width // side)
    return size.form.shape[0] if size.form.kind in (TOKENS, "sequence") else size.features
