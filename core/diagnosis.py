"""From numbers to a verdict on a training, in words: the evidence, what it is called, and a mend.

No number below is a law. Each says where it comes from; those marked "measured here" were set between networks that
learn and networks that do not (MLPs of 64 units and small convolutional and recurrent networks on digits, torch's own
start unless another is named, medians or ranges of 2 to 5 seeds):

VANISHING: first layer's gradient ÷ last layer's. 20 sigmoid layers 7e-16, 20 ReLU layers 2e-6, 8 sigmoid layers 1e-5
  (they hardly learn); 20 tanh layers 1e-3, 5 sigmoid layers 4e-3, every preset 0.08 and more (they learn). The cause:
  Hochreiter 1991; Glorot & Bengio 2010, section 4.
EXPLODING: the same, from above. 30 ReLU layers with batch norm and no shortcuts 240; every preset up to 13. The cause:
  Yang 2019 (arXiv 1902.08129): batch norm multiplies the gradient by about 1.21 a ReLU layer.
FORGOTTEN, RUNAWAY: gradient of the first state ÷ that of the last, before training. Over 40 steps of the adding task
  an RNN 2e-9, a GRU and an LSTM 1e-8, with a forget bias of 1 1e-3, of 3 about 2; over 28 rows of digits 3e-5 and
  less, trained for 100 steps 0.02 and more. The cause: Bengio 1994; Pascanu 2013.
DEAD: share of a ReLU layer's units that are zero for a whole batch. Presets that learn 0.34 and less, 10 ReLU layers
  0.64 and less. cs231n (Karpathy, "Neural Networks Part 1") tells of networks with 40 % dead after too large a step.
SMALL_STEP, LARGE_STEP: size of a step ÷ size of the weights. cs231n ("Neural Networks Part 3"): "should be somewhere
  around 1e-3"; a hundred times less or more is called too small or too large here, and only while the loss has not
  fallen, for a step size is no fault of a network that learns.
LITTLE, RISEN: the loss now (median of the last quarter of the steps) ÷ the loss of the first step, chosen here.
PEAK: the largest loss of all ÷ that of the first step. Presets that learn 1.5 and less; with a learning rate a thousand
  times too large 20 and more, after which ReLU networks are often dead and their loss is that of the start again.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.options import _

VANISHING = 1e-4
EXPLODING = 50.0
FORGOTTEN = 1e-4
RUNAWAY = 1e3
DEAD = 0.8
SMALL_STEP = 1e-5
LARGE_STEP = 1e-1
LITTLE = 0.9
RISEN = 1.5
PEAK = 5.0
ENOUGH = 10  # losses before the learning rate is judged


@dataclass(frozen=True)
class Threshold:
    """One number that a verdict hangs on, what is compared with it, and where it comes from."""

    states: tuple[str, ...]
    measure: str
    limit: str
    source: str


THRESHOLDS = (
    Threshold(("vanishing",), _("gradient at the first layer ÷ at the last"), f"< {VANISHING:g}",
              _("Measured here: 20 sigmoid layers 7e-16, presets 0.08 and more. Glorot & Bengio 2010, section 4.")),
    Threshold(("exploding",), _("gradient at the first layer ÷ at the last"), f"> {EXPLODING:g}",
              _("Measured here: 30 ReLU layers with batch norm 240, presets up to 13. Yang 2019, arXiv 1902.08129.")),
    Threshold(("vanishing_in_time",), _("gradient of the first state ÷ of the last"), f"< {FORGOTTEN:g}",
              _("Measured here: an LSTM over 40 steps 1e-8, with a forget bias of 3 about 1. Bengio 1994.")),
    Threshold(("exploding_in_time",), _("gradient of the first state ÷ of the last"), f"> {RUNAWAY:g}",
              _("Measured here: networks that learn 3 and less. Pascanu 2013.")),
    Threshold(("dead",), _("units of one ReLU layer that are zero for the whole batch"), f"≥ {DEAD:.0%}",
              _("Measured here: presets 34 % and less. The cs231n notes (part 1) tell of 40 % after too large steps.")),
    Threshold(("lr_too_small",), _("size of a step ÷ size of the weights, while the loss does not fall"),
              f"< {SMALL_STEP:g}", _("A hundredth of what the cs231n notes (part 3) call usual, 1e-3.")),
    Threshold(("lr_too_large",), _("size of a step ÷ size of the weights, while the loss does not fall"),
              f"> {LARGE_STEP:g}", _("A hundred times what the cs231n notes (part 3) call usual, 1e-3.")),
    Threshold(("lr_too_large",), _("the loss now ÷ the loss of the first step"), f"> {RISEN:g}",
              _("Chosen here: a network that has learned nothing has about the loss of its first step.")),
    Threshold(("lr_too_large",), _("the largest loss so far ÷ the loss of the first step, while it has not fallen"),
              f"> {PEAK:g}", _("Measured here: presets 1.5 and less, a thousand times the learning rate 20 and more.")),
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A training that stopped being finite: at which step, and the first layer that did ("" where it is not known)."""

    step: int
    layer: str


@dataclass(frozen=True)
class Evidence:
    """What is known of a training at one moment. Mappings go by layer, from the input on; empty: not known."""

    norms: Mapping[str, float] = field(default_factory=dict)  # of the gradient, of layers with weight matrices
    dead: Mapping[str, float] = field(default_factory=dict)  # ReLU → share of units
    saturated: Mapping[str, float] = field(default_factory=dict)  # sigmoid or tanh → share of outputs
    through_time: Mapping[str, float] = field(default_factory=dict)  # recurrent layer → first state ÷ last
    losses: Sequence[float] = ()  # of every step so far
    update_ratios: Sequence[float] = ()  # ‖Δw‖ / ‖w‖, the median over the layers at every reading so far
    ended: Ended | None = None
    lr: float = math.nan
    swept: bool = False  # the learning rate is being tried out from small to large: it is not judged

    def ratio(self) -> float:
        """The first layer's norm as a multiple of the last's; NaN where there is none."""
        sizes = list(self.norms.values())
        if not sizes:
            return math.nan
        return sizes[0] / sizes[-1] if sizes[-1] else (math.inf if sizes[0] else math.nan)

    def ends(self) -> dict[str, float | int | str]:
        """The first and the last layer, their norms, and the ratio."""
        names = list(self.norms) or [""]
        first, last = names[0], names[-1]
        sizes = {"at_first": self.norms.get(first, math.nan), "at_last": self.norms.get(last, math.nan)}
        return {"first": first, "last": last, **sizes, "ratio": self.ratio()}

    def step_size(self) -> float:
        """The median of the readings of ‖Δw‖ / ‖w‖; NaN where there is none."""
        return statistics.median(self.update_ratios) if self.update_ratios else math.nan

    def loss_kept(self) -> float:
        """Median loss of the last quarter of the steps ÷ the first step's; NaN for fewer than ENOUGH steps."""
        known = [loss for loss in self.losses if math.isfinite(loss)]
        if len(known) < ENOUGH or not known[0]:
            return math.nan
        return statistics.median(known[-(len(known) // 4) :]) / known[0]

    def peak(self) -> float:
        """The largest loss ÷ the first step's; NaN where there is none."""
        known = [loss for loss in self.losses if math.isfinite(loss)]
        return max(known) / known[0] if known and known[0] else math.nan


TITLES = {
    "diverged": _("Diverged"), "dead": _("Dead units"), "exploding": _("Exploding gradient"),
    "vanishing": _("Vanishing gradient"), "exploding_in_time": _("Gradient exploding through time"),
    "vanishing_in_time": _("Gradient vanishing through time"), "lr_too_large": _("Learning rate too large"),
    "lr_too_small": _("Learning rate too small"), "healthy": _("Healthy"),
}  # fmt: skip
SAYS = {
    "diverged": _("At step {step} the numbers overflowed, first at the layer {layer}, with a learning rate of {lr:g}."),
    "diverged in the loss": _("At step {step} the loss stopped being a number, with a learning rate of {lr:g}; no "
                              "single layer is to blame."),
    "dead": _("At {layer}, {share:.0%} of the units are zero for every sample of the batch. No gradient passes a unit "
              "that is zero, so it cannot come back by itself."),
    "exploding": _("On its way back the gradient grows: {at_last:.3g} at {last} has become {at_first:.3g} at {first}, "
                   "{ratio:,.0f} times as much. A step that suits one of them does not suit the other."),
    "vanishing": _("On its way back the gradient is lost: of {at_last:.2g} at {last}, {at_first:.2g} is left at "
                   "{first}, {ratio:.1g} times as much. The first layers hardly learn."),
    "exploding_in_time": _("At {layer}, the first step's state gets {ratio:.1g} times the gradient of the last one's."),
    "vanishing_in_time": _("At {layer}, the first step's state gets {ratio:.1g} times the gradient of the last one's. "
                           "What stands early in a row is hardly learned from."),
    "lr_too_large": _("With a learning rate of {lr:g}, the loss is now {kept:.2g} times that of the first step and was "
                      "{peak:,.3g} times that at its worst; a step moves the weights by {size:.1g} of their size."),
    "lr_too_small": _("With a learning rate of {lr:g}, a step moves the weights by {size:.1g} of their size, and the "
                      "loss is still {kept:.2g} times that of the first step."),
    "healthy": _("At {first} the gradient is {ratio:.2g} times as large as at {last}."),
    "healthy alone": _("No fault was found in the gradient."),
    "healthy in time": _("The first step's state gets {time:.2g} times the gradient of the last one's."),
    "healthy units": _("No ReLU layer has more than {dead:.1%} dead units."),
    "no unit dead": _("No unit of a ReLU layer is dead."),
    "healthy steps": _("A step moves the weights by {size:.1g} of their size."),
}  # fmt: skip
MENDS = {
    "diverged": _("Divide the learning rate by 10 or more, let it warm up, or clip the gradient norm at 1."),
    "dead": _("Start again with a smaller learning rate and with biases of zero. Leaky ReLU or GELU let some gradient "
              "through below zero; a norm before the activation keeps its inputs around zero."),
    "exploding": _("Add shortcuts (residual blocks): they carry the gradient past the norms. Otherwise take fewer "
                   "layers, let the learning rate warm up, or clip the gradient norm at 1."),
    "vanishing": _("Use ReLU with He's start instead of sigmoids, add shortcuts (residual blocks), or take fewer "
                   "layers."),
    "exploding_in_time": _("Clip the gradient norm at 1, start the recurrent weights smaller, or use a GRU."),
    "vanishing_in_time": _("Use an LSTM with a forget bias of 1 to 3, a ReLU layer that starts with the identity, "
                           "shorter rows, or attention."),
    "lr_too_large": _("Divide the learning rate by 10, let it warm up, or clip the gradient norm at 1."),
    "lr_too_small": _("Multiply the learning rate by 10, and again until the loss falls; steps of about 0.001 of the "
                      "weights' size are usual."),
}  # fmt: skip

Numbers = dict[str, float | int | str]


@dataclass(frozen=True)
class Verdict:
    """What a training is called (one of TITLES), why, and what would mend it: sentences with places for `numbers`."""

    state: str
    says: tuple[str, ...]
    numbers: Numbers

    @property
    def mend(self) -> str:
        """What would help; "" for a healthy one."""
        return MENDS.get(self.state, "")

    def sentence(self) -> str:
        """What it is called and its evidence, in English."""
        return " ".join([f"{TITLES[self.state]}:", *(says.format(**self.numbers) for says in self.says)])


def _verdict(state: str, numbers: Numbers, *says: str) -> Verdict:
    return Verdict(state, tuple(SAYS[name] for name in says or (state,)), numbers)


def diagnose(evidence: Evidence) -> tuple[Verdict, ...]:
    """Every verdict that the evidence bears, the main one first; healthy where there is no other.

    A cause stands before its consequences: too large a step kills units; where a gradient is lost, small steps are no
    wonder and have no verdict of their own.
    """
    if evidence.ended:
        numbers: Numbers = {"step": evidence.ended.step, "layer": evidence.ended.layer, "lr": evidence.lr}
        return (_verdict("diverged", numbers, "diverged" if evidence.ended.layer else "diverged in the loss"),)
    lost = [*(_dead(evidence) or _through_layers(evidence)), *_through_time(evidence)]
    found = [*_too_large(evidence), *lost] or _too_small(evidence)
    return tuple(found) or (_healthy(evidence),)


def _dead(evidence: Evidence) -> list[Verdict]:
    layer = max(evidence.dead, key=lambda name: evidence.dead[name], default="")
    if not layer or evidence.dead[layer] < DEAD:
        return []
    return [_verdict("dead", {"layer": layer, "share": evidence.dead[layer]})]


def _through_layers(evidence: Evidence) -> list[Verdict]:
    ratio = evidence.ratio()
    if ratio > EXPLODING:
        return [_verdict("exploding", evidence.ends())]
    return [_verdict("vanishing", evidence.ends())] if ratio < VANISHING else []


def _through_time(evidence: Evidence) -> list[Verdict]:
    """The worst recurrent layer's: one sentence is enough."""
    ratios = {name: r for name, r in evidence.through_time.items() if not math.isnan(r)}
    low, high = min(ratios, key=lambda n: ratios[n], default=""), max(ratios, key=lambda n: ratios[n], default="")
    if high and ratios[high] > RUNAWAY:
        return [_verdict("exploding_in_time", {"layer": high, "ratio": ratios[high]})]
    if low and ratios[low] < FORGOTTEN:
        return [_verdict("vanishing_in_time", {"layer": low, "ratio": ratios[low]})]
    return []


def _rate(evidence: Evidence) -> dict[str, float]:
    """What is said of a learning rate; nothing while the loss falls, or too few steps are known."""
    kept = evidence.loss_kept()
    if evidence.swept or math.isnan(kept) or kept <= LITTLE:
        return {}
    return {"kept": kept, "peak": evidence.peak(), "size": evidence.step_size(), "lr": evidence.lr}


def _too_large(evidence: Evidence) -> list[Verdict]:
    known = _rate(evidence)
    if not known or not (known["kept"] > RISEN or known["peak"] > PEAK or known["size"] > LARGE_STEP):
        return []
    return [_verdict("lr_too_large", {**known})]


def _too_small(evidence: Evidence) -> list[Verdict]:
    known = _rate(evidence)
    return [_verdict("lr_too_small", {**known})] if known and known["size"] < SMALL_STEP else []


def _healthy(evidence: Evidence) -> Verdict:
    size = evidence.step_size()
    numbers: Numbers = {
        **evidence.ends(), "dead": max(evidence.dead.values(), default=0.0), "size": size,
        "time": min(evidence.through_time.values(), default=math.nan),
    }  # fmt: skip
    compared = len(evidence.norms) > 1 and math.isfinite(evidence.ratio())
    some_dead = any(evidence.dead.values())
    says = {
        "healthy": compared, "healthy alone": not compared, "healthy in time": bool(evidence.through_time),
        "healthy units": some_dead, "no unit dead": bool(evidence.dead) and not some_dead,
        "healthy steps": not math.isnan(size),
    }  # fmt: skip
    return _verdict("healthy", numbers, *(name for name, known in says.items() if known))
