"""The trials of the scoreboard: data whose true evidence is known, and the small network that learns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.spec.options import SpecError, _
from core.spec.quoting import shown
from core.spec.sentences import Sentence
from core.spec.specs import Experiment, assign, preset

EVIDENCE, CUE, REST = "evidence", "cue", "rest"  # masks of core.worker.data.splits.Splits: what the label
# depends on, and a planted hint; and all that is neither
CLEAN, CHEAT = "shapes", "shapes_cheat"  # the pair: the same pictures, but for what the patch says while training


OWN = "run"  # stands for a trial's name where a run's own network is scored


# What core.spec.questions.Scored holds of a trial's example, by of_trial(TRIAL, …):
EXAMPLE = "shown"  # array: the sample as people see it; besides, the masks EVIDENCE and CUE where they are known
# facts: its class, the network's seed, a sentence word by word
EXAMPLE_CLASS, EXAMPLE_SEED, EXAMPLE_WORDS = "class", "seed", "words"


def of_trial(trial: str, what: str) -> str:
    """The name under which Scored holds something of a trial's example."""
    return f"{trial}/{what}"


def map_of(trial: str, method: str) -> str:
    """The array of a method's map of a trial's example, in the sample's shape."""
    return of_trial(trial, f"method/{method}")


def signed_of(trial: str, method: str) -> str:
    """The fact whether the values of that map have a direction."""
    return of_trial(trial, f"signed/{method}")


@dataclass(frozen=True)
class Trial:
    """What is learned by which network, and what it must be shown to use before a method is scored on it."""

    name: str
    title: str
    words: str  # a sentence: what is known about the evidence
    preset: str
    data: str
    changes: tuple[tuple[str, Any], ...]  # of the preset's experiment, by address
    uses: str  # EVIDENCE or CUE: what the network must be seen to use
    steps: int
    quick_steps: int

    def experiment(self, seed: int, steps: int) -> Experiment:
        """What is trained: the seed draws the data, the first weights and the order of the batches."""
        given = {"data.seed": seed, "train.seed": seed, "train.steps": steps}
        return assign(preset(self.preset, self.data), {**dict(self.changes), **given})


_PICTURES = (("data.patch", 1.0), ("model.channels", (8, 16)), ("data.samples", 3000))

TRIALS = (
    Trial(
        CLEAN,
        _("shapes, honest network"),
        _("The shape says the class; the patch at the border lies anywhere and says nothing."),
        "cnn",
        "shapes",
        (*_PICTURES, ("data.patch_train", "random")),
        EVIDENCE,
        500,
        300,
    ),
    Trial(
        CHEAT,
        _("shapes, network that cheats"),
        _("While it learned, the patch lay at its class's place: the network reads the patch and not the shape."),
        "cnn",
        "shapes",
        (*_PICTURES, ("data.patch_train", "class")),
        CUE,
        150,
        80,
    ),
    Trial(
        "planted",
        _("planted pattern, LSTM"),
        _("Two reserved tokens among noise say the class."),
        "lstm",
        "planted",
        (("model.read_out", "max"),),
        EVIDENCE,
        400,
        150,
    ),
    Trial(
        "reviews",
        _("film reviews, Transformer"),
        _("One adjective says what the writer thinks, unless a negator stands before it."),
        "transformer",
        "reviews",
        (),
        EVIDENCE,
        500,
        300,
    ),
)


def trials_of(names: tuple[str, ...]) -> tuple[Trial, ...]:
    """The named trials in their order; all where none is named. SpecError for a name that there is not."""
    known = [trial.name for trial in TRIALS]
    for name in names:
        if name not in known:
            raise SpecError(
                "data", Sentence("There is no trial {name}; there are {known}.", name=shown(name), known=known)
            )
    return tuple(trial for trial in TRIALS if not names or trial.name in names)


MOST_SEEDS, MOST_SAMPLES = 50, 500


def within(name: str, value: int, most: int) -> int:
    """The number of seeds or samples, if there may be so many; SpecError otherwise."""
    if not 1 <= value <= most:
        raise SpecError(
            name,
            Sentence(
                "{name} = {value} is out of range: it must be between 1 and {most}.",
                name=name,
                value=shown(value),
                most=most,
            ),
        )
    return value
