"""Options of the methods that average over noisy copies of the input."""

from dataclasses import dataclass

from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Noisy(Options):
    """Noisy copies of the input, and which gradient is taken of each."""

    samples: int = option(20, _("Noisy copies of the input."), low=2, high=1000, unit=_("copies"))
    noise: float = option(
        0.15,
        _("Standard deviation of the noise, as a share of the input's range: from its smallest to its largest value."),
        low=0.0,
        high=2.0,
        unit=_("of the range"),
    )
    of: str = option(
        "gradient",
        _("What is taken of each copy: the gradient, or the gradient times the noisy copy."),
        label=_("taken"),
        choices=("gradient", "input_x_gradient"),
    )
