"""What a run can be told. A command is declared once, here: command line, pages, engine and worker follow.

A new command is one entry of COMMANDS and one method of a run's session in its worker. What the engine does beyond
handing a command to the worker, or keeping it until there is one, stands in core.engine.control.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.spec.events import (
    ENDED,
    FAILED,
    FINISHED,
    PAUSED,
    QUEUED,
    RUNNING,
    SETTABLE,
    STATES,
    STOPPED,
    Command,
    Status,
)
from core.spec.options import SpecError, coerce, declared
from core.spec.quoting import shown
from core.spec.sentences import Sentence, _, join
from core.spec.specs import TrainSpec

ACTIVE = (QUEUED, RUNNING, PAUSED)
NOTHING = join([])


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One command.

    handler: the address of what a worker does, (session, values) → None. taken: the states of a run that take it; any
    other refuses it with the sentence `refused`. taken_with: the same where it comes with values. offered: the states
    in which a person is offered it, with `title` and `help`; () is for what no person gives by name.
    """

    name: str
    handler: str
    taken: tuple[str, ...]
    taken_with: tuple[str, ...] | None = None
    refused: Sentence = NOTHING
    title: Sentence = NOTHING
    help: Sentence = NOTHING
    offered: tuple[str, ...] = ()
    needs_steps: bool = False  # offered only while the run has steps left
    values: Callable[[dict[str, Any]], dict[str, Any]] | None = None  # checked and coerced; None: it takes none
    example: str = ""  # of its values, where it must have some
    begins: bool = False  # where no engine is, one begins for it
    effect: Callable[[Status, Status], bool] | None = None  # how one sees that it has acted: (before, now) → bool

    def offers(self, status: Status) -> bool:
        """Would it act on a run that stands so?"""
        return status.state in self.offered and not (self.needs_steps and status.step >= status.steps)

    def takes(self, status: Status, values: dict[str, Any]) -> bool:
        """Does a run that stands so take it?"""
        return status.state in (self.taken if not values or self.taken_with is None else self.taken_with)


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _settings(values: dict[str, Any]) -> dict[str, Any]:
    """{field: number} of the fields that may be changed while a run trains."""
    if not values:
        raise SpecError("set", Sentence("Say what to set: {names}.", names=SETTABLE))
    return {name: _setting(name, value) for name, value in values.items()}


def _setting(name: str, value: Any) -> float:
    if name not in SETTABLE:
        cannot = Sentence("“{name}” cannot be changed while a run trains; {names} can.", name=name, names=SETTABLE)
        raise SpecError(name, cannot)
    known = declared(TrainSpec)[name][2]
    try:
        number = math.nan if isinstance(value, bool) else float(value)
        return float(coerce(name, float, number, known))
    except (TypeError, ValueError) as error:
        if isinstance(error, SpecError) and not isinstance(value, bool):
            raise
        wrong = Sentence(
            "{name} must be a number between {low:g} and {high:g} {unit}, not {value}.",
            name=name,
            low=known.low,
            high=known.high,
            unit=known.unit,
            value=f"{str(value)[:40]!r}",
        )
        raise SpecError(name, wrong) from None


def _watched(values: dict[str, Any]) -> dict[str, Any]:
    """{"sample": index in the test set, "layer": its address or ""}."""
    sample, layer = values.get("sample", 0), values.get("layer", "")
    fits = isinstance(sample, int) and not isinstance(sample, bool) and 0 <= sample < 2**31
    if not fits or not isinstance(layer, str) or len(layer) > 200:
        raise SpecError("watch", _("watch takes a sample (a whole number, 0 or more) and the name of a layer."))
    return {"sample": sample, "layer": layer}


def _more_steps(values: dict[str, Any]) -> dict[str, Any]:
    """{"steps": up to which a run that has ended is trained on}, or nothing."""
    if others := [name for name in values if name != "steps"]:
        wrong = Sentence("resume takes steps, up to which the run is trained on; not {name}.", name=shown(others[0]))
        raise SpecError("resume", wrong)
    if not values:
        return {}
    return {"steps": int(coerce("steps", int, values["steps"], declared(TrainSpec)["steps"][2]))}


# ── the commands ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _held(_before: Status, now: Status) -> bool:
    return now.state not in (RUNNING, QUEUED)


_DECLARED = (
    Verb(
        name="pause",
        handler="core.worker.session:RunSession.pause",
        taken=ACTIVE,
        refused=_("The run is {state}; it cannot be paused."),
        title=_("Pause"),
        help=_("Hold the run; it can go on later."),
        offered=(RUNNING,),
        effect=_held,
    ),
    Verb(
        name="resume",
        handler="core.worker.session:RunSession.resume",
        taken=(*ACTIVE, STOPPED, FAILED),
        taken_with=ENDED,
        title=_("Resume"),
        help=_("Go on from where it stands."),
        offered=(PAUSED, STOPPED, FAILED),
        needs_steps=True,
        values=_more_steps,
        begins=True,
    ),
    Verb(
        name="step",
        handler="core.worker.session:RunSession.single_step",
        taken=ACTIVE,
        refused=_("The run is {state}; it cannot be taken further."),
        title=_("Step"),
        help=_("Learn from one batch, then hold again."),
        offered=(PAUSED,),
        needs_steps=True,
        effect=lambda before, now: now.step > before.step or now.state in ENDED,
    ),
    Verb(
        name="stop",
        handler="core.worker.session:RunSession.stop",
        taken=STATES,
        title=_("Stop"),
        help=_("End the run here; its numbers and weights stay."),
        offered=ACTIVE,
        effect=lambda _before, now: now.state in ENDED,
    ),
    Verb(
        name="set",
        handler="core.worker.session:RunSession.set",
        taken=(*ACTIVE, STOPPED, FAILED),
        refused=_("The run is {state}; it cannot be changed."),
        title=_("Set"),
        help=_("Change a setting from the next step on."),
        offered=(*ACTIVE, FAILED),  # what diverged may go on with other settings
        values=_settings,
        example="lr=0.01",
    ),
    Verb(name="watch", handler="core.worker.session:RunSession.watch", taken=STATES, values=_watched),
    Verb(name="unwatch", handler="core.worker.session:RunSession.unwatch", taken=STATES),
    Verb(  # free the slot for a run that waits
        name="park",
        handler="core.worker.session:RunSession.park",
        taken=ACTIVE,
        refused=_("The run is {state}; it cannot be paused."),
        effect=_held,
    ),
)
COMMANDS = {verb.name: verb for verb in _DECLARED}
OFFERED = tuple(name for name, verb in COMMANDS.items() if verb.offered)


def checked(command: Command) -> Command:
    """The command with its values checked and coerced; SpecError in words."""
    verb = COMMANDS.get(command.verb)
    if verb is None:
        wrong = Sentence("There is no command “{verb}”; there are {names}.", verb=command.verb, names=tuple(COMMANDS))
        raise SpecError("verb", wrong)
    if verb.values is None and command.values:
        raise SpecError(verb.name, Sentence("{verb} takes no values.", verb=verb.name))
    return Command(verb.name, verb.values(command.values) if verb.values else {})


def refusal(status: Status, command: Command) -> str:
    """Why a run that stands so does not take the command; "" where it does."""
    verb = COMMANDS[command.verb]
    if verb.takes(status, command.values):
        return ""
    if verb.name == "resume":
        if command.values:
            return _("The run has not ended yet; once it has, it can be trained on for more steps.")
        return is_finished(status)
    why = Sentence(verb.refused.msgid, state=Sentence(status.state))
    return why if status.state == FINISHED else join((why, _("Resume it first.")))


def is_finished(status: Status) -> str:
    """Why a finished run is not carried on."""
    return Sentence("The run is finished: all {steps} steps are done.", steps=status.steps)
