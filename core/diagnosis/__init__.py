"""From numbers to a verdict on a training, in words: the evidence, what it is called, and a mend.

Healthy is not the default: it takes a loss that has fallen below that of a single answer for all samples, and it says
what was looked at. Where nothing can be said yet, that is what is said. Limits and texts stand in core.diagnosis.words.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.diagnosis.words import (
    APART,
    DEAD,
    ENOUGH,
    EXPLODING,
    FAIR,
    FORGOTTEN,
    GAP,
    LAGS,
    LARGE_STEP,
    LITTLE,
    MENDS,
    PEAK,
    RISEN,
    RUNAWAY,
    SAYS,
    SHRUNK,
    SMALL_STEP,
    THRESHOLDS,
    TITLES,
    UNFIT,
    USUAL_STEP,
    VANISHING,
    Threshold,
)
from core.spec.quoting import Quoted
from core.spec.sentences import Sentence, join


@dataclass(frozen=True)
class Ended:
    """A training that stopped being finite: at which step, and the first layer that did ("" where it is not known)."""

    step: int
    layer: str


@dataclass(frozen=True)
class Limited:
    """A layer after the one that answers: the limit in words, and the share of its outputs that lie there."""

    layer: str
    limit: str
    share: float
    at_random: bool = False  # it is no limit, but drops answers


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
    constant: float = math.nan  # the loss of the best single answer for all training samples
    floor: float = 0.0  # that the training loss cannot fall below: the entropy of smoothed or mixed labels
    chance: float = math.nan  # the share of the commonest answer
    accuracy: float = math.nan  # of the training batches of late
    val_loss: float = math.nan
    val_accuracy: float = math.nan
    weight_decay: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)  # layer → ‖weights‖ now ÷ at the start
    normed: tuple[float, float] | None = None  # accuracy with batch norms' own, and with their running statistics
    limited: Limited | None = None
    data: str = ""  # "same inputs" or "one answer": nothing can be learned from it
    sigmoids: Sequence[str] = ()
    activation: str = ""  # where the model's activation can be chosen: the address of that option
    label_noise: float = 0.0
    early_stopping: int = 0
    more_samples: int = 0  # so many could be drawn instead; 0: no more

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

    def loss_now(self) -> float:
        """Median loss of the last quarter of the steps; NaN for fewer than ENOUGH steps."""
        known = [loss for loss in self.losses if math.isfinite(loss)]
        return statistics.median(known[-(len(known) // 4) :]) if len(known) >= ENOUGH else math.nan

    def unfit(self) -> float:
        """The loss now ÷ that of always giving the same answer; not known: ÷ the first step's; else NaN."""
        if self.constant > 0:
            return self.loss_now() / self.constant
        return self.loss_kept()

    def loss_kept(self) -> float:
        """Median loss of the last quarter of the steps ÷ the first step's; NaN for fewer than ENOUGH steps."""
        known = [loss for loss in self.losses if math.isfinite(loss)]
        return self.loss_now() / known[0] if known and known[0] else math.nan

    def peak(self) -> float:
        """The largest loss ÷ the first step's; NaN where there is none."""
        known = [loss for loss in self.losses if math.isfinite(loss)]
        return max(known) / known[0] if known and known[0] else math.nan


Numbers = dict[str, float | int | str]

__all__ = [
    "DEAD",
    "MENDS",
    "SAYS",
    "THRESHOLDS",
    "TITLES",
    "Ended",
    "Evidence",
    "Limited",
    "Threshold",
    "Verdict",
    "diagnose",
]


@dataclass(frozen=True)
class Verdict:
    """What a training is called (one of TITLES), why, and what would mend it: sentences with places for `numbers`.

    changes: the mend as fields of the experiment by address (train.lr), where it can be said so.
    """

    state: str
    says: tuple[str, ...]
    numbers: Numbers
    mend: str = ""  # "" for a healthy one
    changes: dict[str, Any] = field(default_factory=dict)

    def sentence(self) -> str:
        """What it is called and its evidence, in English."""
        title = Sentence("{title}:", title=TITLES[self.state])
        return join([title, *(Sentence(says, **self.numbers) for says in self.says)])

    def advice(self) -> str:
        """The mend in English, with what the command line would be given."""
        flags = " ".join(f"{address}={value}" for address, value in self.changes.items())
        mend = Sentence(self.mend, **self.numbers)
        return join([mend, Quoted(f"(--set {flags})")]) if flags else mend


def _verdict(state: str, numbers: Numbers, *says: str, mend: str = "", **changes: Any) -> Verdict:
    """`changes` by address, with two underscores for the dot."""
    fields = {address.replace("__", "."): value for address, value in changes.items()}
    return Verdict(state, tuple(SAYS[name] for name in says or (state,)), numbers, MENDS.get(mend or state, ""), fields)


def diagnose(evidence: Evidence) -> tuple[Verdict, ...]:
    """Every verdict that the evidence bears, the main one first; healthy where there is no other.

    A cause stands before its consequences: too large a step kills units; where a gradient is lost, small steps are no
    wonder and have no verdict of their own.
    """
    if evidence.ended:
        numbers: Numbers = {"step": evidence.ended.step, "layer": evidence.ended.layer, "lr": evidence.lr}
        return (_verdict("diverged", numbers, "diverged" if evidence.ended.layer else "diverged in the loss"),)
    lost = [*(_dead(evidence) or _through_layers(evidence)), *_through_time(evidence)]
    rate = _decayed(evidence) or _too_large(evidence)
    found = [*_data(evidence), *_limited(evidence), *rate, *lost, *(_lagging(evidence) or _overfitting(evidence))]
    return tuple(found or _too_small(evidence) or [_not_learned(evidence) or _healthy(evidence)])


def rounded(value: float) -> float:
    """To one digit: 0.0023 → 0.002."""
    return float(f"{value:.0e}") if value and math.isfinite(value) else value


def _learning(evidence: Evidence) -> Numbers:
    """What is said of learning."""
    return {
        "steps": len(evidence.losses),
        "now": evidence.loss_now(),
        "constant": evidence.constant,
        "kept": evidence.loss_kept(),
        "accuracy": evidence.accuracy,
        "chance": evidence.chance,
        "val_loss": evidence.val_loss,
        "val_accuracy": evidence.val_accuracy,
        "fair": FAIR,
        "size": evidence.step_size(),
    }


def _data(evidence: Evidence) -> list[Verdict]:
    return [_verdict("data", {}, evidence.data)] if evidence.data else []


def _limited(evidence: Evidence) -> list[Verdict]:
    if not (one := evidence.limited):
        return []
    numbers: Numbers = {"layer": one.layer, "limit": one.limit, "share": one.share}
    return [_verdict("limited_answer", numbers, "limited at random" if one.at_random else "limited_answer")]


def _dead(evidence: Evidence) -> list[Verdict]:
    layer = max(evidence.dead, key=lambda name: evidence.dead[name], default="")
    share = evidence.dead[layer] if layer else 0.0
    if share < DEAD or (share < 1 and evidence.unfit() <= UNFIT):  # who fits well may answer with few units at a time
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


def _weights_kept(evidence: Evidence) -> float:
    return statistics.median(evidence.weights.values()) if evidence.weights else math.nan


def _decayed(evidence: Evidence) -> list[Verdict]:
    kept = _weights_kept(evidence)
    if evidence.swept or not evidence.weight_decay or not (kept < SHRUNK and evidence.unfit() > UNFIT):
        return []
    better = rounded(evidence.weight_decay / 100)
    numbers: Numbers = {**_learning(evidence), "kept": kept, "decay": evidence.weight_decay, "better": better}
    return [_verdict("weight_decay", numbers, train__weight_decay=better)]


def _rate(evidence: Evidence, little: float = LITTLE) -> Numbers:
    """What is said of a learning rate; nothing while the loss falls, or too few steps are known."""
    unfit = evidence.unfit()
    if evidence.swept or math.isnan(unfit) or unfit <= little:
        return {}
    return {**_learning(evidence), "peak": evidence.peak(), "lr": evidence.lr}


def _too_large(evidence: Evidence) -> list[Verdict]:
    known = _rate(evidence, little=0.0 if evidence.loss_kept() > RISEN else LITTLE)
    if not known or not (evidence.loss_kept() > RISEN or evidence.peak() > PEAK or evidence.step_size() > LARGE_STEP):
        return []
    return [_verdict("lr_too_large", known, train__lr=rounded(evidence.lr / 10))]


def _too_small(evidence: Evidence) -> list[Verdict]:
    known, size = _rate(evidence, little=0.5), evidence.step_size()
    if not known or not size < (SMALL_STEP / 10 if evidence.sigmoids else SMALL_STEP):
        return []  # sigmoids make small steps by themselves
    better = rounded(min(100.0, evidence.lr * min(1000.0, USUAL_STEP / max(size, 1e-12))))
    says = ["lr_too_small", *(["at chance"] if math.isfinite(evidence.accuracy) else [])]
    return [_verdict("lr_too_small", {**known, "better": better}, *says, train__lr=better)]


def _lagging(evidence: Evidence) -> list[Verdict]:
    if not evidence.normed or not evidence.normed[0] - evidence.normed[1] > LAGS:
        return []
    own, running = evidence.normed
    better = max(FAIR, 5 * len(evidence.losses))
    numbers: Numbers = {"own": own, "running": running, "better": better}
    return [_verdict("norms_lag", numbers, train__steps=better, train__schedule="cosine")]


def _overfitting(evidence: Evidence) -> list[Verdict]:
    apart = evidence.val_loss > APART * (evidence.loss_now() - evidence.floor)
    if math.isnan(evidence.val_accuracy) or math.isnan(evidence.accuracy):
        if not apart:
            return []
        return [_verdict("overfitting", _learning(evidence), "overfitting in the loss", **_stopped(evidence))]
    if not apart or evidence.accuracy - evidence.val_accuracy < GAP:
        return []
    says = ["overfitting", *(["by heart"] if evidence.val_accuracy < evidence.chance + GAP / 2 else [])]
    numbers: Numbers = {**_learning(evidence), "noise": evidence.label_noise}
    if evidence.label_noise:
        return [_verdict("overfitting", numbers, *says, mend="noisy", train__label_noise=0.0)]
    return [_verdict("overfitting", numbers, *says, **_stopped(evidence))]


def _stopped(evidence: Evidence) -> dict[str, Any]:
    if evidence.more_samples:
        return {"data__samples": evidence.more_samples}
    return {} if evidence.early_stopping else {"train__early_stopping": 5}


def _not_learned(evidence: Evidence) -> Verdict | None:
    """Where it has not learned, or nobody can say yet; None where it has."""
    unfit, steps = evidence.unfit(), len(evidence.losses)
    if evidence.swept:
        return _verdict("unjudged", {}, "swept")
    if math.isnan(unfit):
        return _verdict("unjudged", _learning(evidence), "nothing to judge")
    if unfit <= LITTLE:
        return None
    numbers: Numbers = {**_learning(evidence), "better": 3 * steps}
    if steps < FAIR:
        return _verdict("unjudged", numbers, "unjudged" if evidence.constant > 0 else "nothing to judge")
    says = ["not_learned" if evidence.constant > 0 else "not_learned alone"]
    says += ["at chance"] if math.isfinite(evidence.accuracy) else []
    if evidence.sigmoids and evidence.ratio() < 1:
        numbers |= {**evidence.ends(), "layer": evidence.sigmoids[0]}
        changes = {evidence.activation: "relu"} if evidence.activation else {}
        return _verdict("not_learned", numbers, *says, "squashed", mend="squashed", **changes)
    return _verdict("not_learned", numbers, *says, train__steps=3 * steps)


def _healthy(evidence: Evidence) -> Verdict:
    """It says everything that was looked at."""
    size, normed = evidence.step_size(), evidence.normed or (math.nan, math.nan)
    time = min((ratio for ratio in evidence.through_time.values() if not math.isnan(ratio)), default=math.nan)
    numbers: Numbers = {
        **_learning(evidence),
        **evidence.ends(),
        "dead": max(evidence.dead.values(), default=0.0),
        "time": time,
        "own": normed[0],
        "running": normed[1],
        "weights": _weights_kept(evidence),
        "decay": evidence.weight_decay,
    }
    compared = len(evidence.norms) > 1 and math.isfinite(evidence.ratio())
    some_dead = any(evidence.dead.values())
    says = {
        "healthy learned": evidence.constant > 0,
        "healthy falling": not evidence.constant > 0,
        "healthy answers": math.isfinite(evidence.accuracy),
        "healthy validation": math.isfinite(evidence.val_loss) and not math.isfinite(evidence.val_accuracy),
        "healthy validated": math.isfinite(evidence.val_accuracy),
        "healthy": compared,
        "healthy alone": not compared,
        "healthy in time": not math.isnan(time),
        "healthy units": some_dead,
        "no unit dead": bool(evidence.dead) and not some_dead,
        "healthy steps": not math.isnan(size),
        "healthy weights": bool(evidence.weights),
        "healthy norms": evidence.normed is not None,
        "healthy data": True,
    }
    return _verdict("healthy", numbers, *(name for name, known in says.items() if known))
