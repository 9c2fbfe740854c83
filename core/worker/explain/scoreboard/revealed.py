"""What the rows of the scoreboard say: which methods reveal a network that cheats, and which draw too much shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.catalog.trials import CUE, EVIDENCE
from core.spec import registry
from core.spec.questions import Gate, Hanging, Measured, Score, ScoreRow
from core.spec.sentences import Sentence, _, counted, join

TIMES_CUE = 3.0  # a method that reveals the cheat puts at least so many times the patch's area into the patch
ONE_NETWORK = _("This is one network: how far luck goes, only the score over several seeds shows.")
LEFT_OUT = _("So no method can be right or wrong about it: it is left out. Train it longer, and score it again.")
TIMES_SHAPE = 1.5  # a method that draws the shape there puts at least so many times the shape's area into the shape


@dataclass(frozen=True)
class Verdict:
    """See core.spec.questions.Scored."""

    reveal: tuple[str, ...]
    draw: tuple[str, ...]
    more: tuple[str, ...]
    words: tuple[str, ...]


def judged(rows: Sequence[ScoreRow], gates: Sequence[Gate], asked: Score, hangs: Sequence[Hanging] = ()) -> Verdict:
    """The sentences, from what was measured."""
    cheats = {gate.data for gate in gates if gate.passed and gate.uses == CUE}
    cheat = [row for row in rows if row.data in cheats]
    reveal, draw, controls = revealing(cheat), drawing(cheat), drawing(cheat, controls=True)
    parts = {one.part: one.share for one in hangs if one.data in cheats}
    more = drawing_more(cheat, draw, parts.get(EVIDENCE))
    words = [_quick(rows)] if asked.quick else []
    words += [gate.words for gate in gates if not gate.passed or asked.run]
    if asked.run:
        words.append(ONE_NETWORK if rows else LEFT_OUT)
    if cheat:
        words += _revealed(cheat, reveal)
        words += _drawn(cheat, draw, controls)
        words += _hanging(cheat, draw, more, parts)
    return Verdict(reveal, draw, more, tuple(words))


def revealing(cheat: Sequence[ScoreRow]) -> tuple[str, ...]:
    """Methods with at least TIMES_CUE the patch's area in the patch, and more there than every control.

    More: by more than both spreads together. The controls know nothing of what the network has learned: what they put
    into the patch is there because the patch is bright and has edges.
    """
    bars = [row.cue_mass for row in cheat if row.control and row.cue_mass]
    found = [
        (row.cue_mass.mean, row.method)
        for row in cheat
        if not row.control
        and row.cue_mass
        and row.cue_mass.mean >= TIMES_CUE * (row.cue_chance or 0.0)
        and all(_above(row.cue_mass, bar) for bar in bars)
    ]
    return tuple(method for _mean, method in sorted(found, reverse=True))


def drawing(cheat: Sequence[ScoreRow], controls: bool = False) -> tuple[str, ...]:
    """Methods (or controls) with at least TIMES_SHAPE the shape's area in the shape, and more than the random map."""
    chance = [row.mass for row in cheat if row.method == "random"]
    found = [
        row
        for row in cheat
        if row.control == controls
        and row.mass.mean >= TIMES_SHAPE * row.chance
        and all(_above(row.mass, bar) for bar in chance)
    ]
    return tuple(row.method for row in sorted(found, key=lambda row: -row.mass.mean))


def drawing_more(cheat: Sequence[ScoreRow], draw: Sequence[str], hangs: Measured | None) -> tuple[str, ...]:
    """Those that put a larger share of their map into the shape than of the number hangs on it, beyond both spreads."""
    rows = {row.method: row.mass for row in cheat}
    return tuple(method for method in draw if hangs is not None and _above(rows[method], hangs))


def _above(one: Measured, other: Measured) -> bool:
    return one.mean - other.mean > one.spread + other.spread


def _quick(rows: Sequence[ScoreRow]) -> str:
    seeds = max((row.seeds for row in rows), default=0)
    most = max((row.samples for row in rows), default=0)
    return Sentence(
        "This is a look, not a claim: {networks} a trial, trained in short, and at most {samples} a method. "
        "The full score has five networks and more samples.",
        networks=counted("{n} network", "{n} networks", n=seeds),
        samples=counted("{n} sample", "{n} samples", n=most),
    )


def _revealed(cheat: Sequence[ScoreRow], reveal: tuple[str, ...]) -> list[str]:
    area, asked = next(row.cue_chance or 0.0 for row in cheat), sum(not row.control for row in cheat)
    if not reveal:
        return [_("No method reveals the cheat here by more than the controls and the spread.")]
    words: list[str] = [
        Sentence(
            "{reveal} of {asked} methods reveal the cheat: at least {times_cue:g} times the patch's area "
            "({area:.1%} of the picture) lies in the patch, and more than every control puts there: {named}.",
            reveal=len(reveal),
            asked=asked,
            times_cue=TIMES_CUE,
            area=area,
            named=_named(reveal, cheat, "cue_mass"),
        )
    ]
    silent = [row.method for row in cheat if not row.control and row.method not in reveal]
    if silent:
        words.append(
            Sentence(
                "Not clear with these: less than {times_cue:g} times the patch's area lies there, or no more "
                "than a control's share within the spreads: {named}.",
                times_cue=TIMES_CUE,
                named=_named(silent, cheat, "cue_mass"),
            )
        )
    return words


def _drawn(cheat: Sequence[ScoreRow], draw: tuple[str, ...], controls: tuple[str, ...]) -> list[str]:
    shape, words = next(row.chance for row in cheat), list[str]()
    if draw:
        words.append(
            Sentence(
                "{draw} draw the shape: at least {times_shape:g} times the shape's area ({shape:.1%}) lies "
                "there: {named}.",
                draw=len(draw),
                times_shape=TIMES_SHAPE,
                shape=shape,
                named=_named(draw, cheat, "mass"),
            )
        )
    if controls:
        named = _named(controls, cheat, "mass")
        words.append(
            Sentence("So do the controls {named}: a shape that is drawn need not come from the network.", named=named)
            if draw
            else Sentence(
                "The shape is drawn by the controls {named}: a shape that is drawn need not come from the network.",
                named=named,
            )
        )
    return words


def _hanging(
    cheat: Sequence[ScoreRow], draw: tuple[str, ...], more: tuple[str, ...], parts: dict[str, Measured]
) -> list[str]:
    """How much of the number hangs on shape and patch, and who draws more than that."""
    shape, patch = parts.get(EVIDENCE), parts.get(CUE)
    if shape is None or patch is None:
        return []
    words: list[str] = [
        Sentence(
            "The class that this network answers does not depend on the shape, but the explained number (how "
            "far its class is before the second) does in part: exchanging the shape changes it by {shape} of "
            "its size, exchanging the patch by {patch}.",
            shape=_share(shape),
            patch=_share(patch),
        )
    ]
    if more:
        words.append(
            Sentence(
                "{more} draw the shape more than it counts, beyond the spreads: {named} of the map lies there, "
                "where {mean:.0%} of the number hangs on it.",
                more=len(more),
                named=_named(more, cheat, "mass"),
                mean=shape.mean,
            )
        )
    elif draw:
        words.append(_("None of them draws the shape more than it counts, beyond the spreads."))
    return words


def _share(one: Measured) -> str:
    return Sentence("{mean:.0%} ± {spread:.0%}", mean=one.mean, spread=one.spread)


def _named(methods: Sequence[str], rows: Sequence[ScoreRow], measure: str) -> str:
    """Titles with their means."""
    means = {row.method: getattr(row, measure).mean for row in rows}
    named = (
        Sentence("{title} ({mean:.0%})", title=registry.METHODS.get(name).title, mean=means[name]) for name in methods
    )
    return join(named, ", ")
