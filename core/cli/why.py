"""look, explain and score: what is asked of a run, or of the methods."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.catalog.entries import WITHHELD
from core.catalog.views.writing import WritingFacts
from core.cli.engine import ask, engine_of
from core.cli.output import Mistake, aloud, print_json, say
from core.cli.requests import explanation_asked, fits_asked, score_asked, view_asked
from core.spec import registry
from core.spec.questions import Explained, MethodFit, Reproduce
from core.spec.quoting import Quoted, quoted
from core.spec.sentences import Sentence, _
from core.store import write_npz, write_source


def do_look(asked: argparse.Namespace) -> int:
    view, question = view_asked(asked)
    with engine_of(asked) as engine:
        seen = ask(engine, question, aloud(asked))
    if asked.out:
        write_npz(Path(asked.out), seen.arrays)
    shapes = {name: list(array.shape) for name, array in seen.arrays.items()}
    if asked.json:
        text = {"text": seen.facts.text} if isinstance(seen.facts, WritingFacts) else {}
        print_json({"view": seen.view, "step": seen.step, "arrays": shapes, "words": " ".join(seen.words), **text})
        return 0
    if view.of_sample:
        say(Sentence("{view}, step {step}, sample {sample}", view=view.title, step=seen.step, sample=seen.sample))
    else:
        say(Sentence("{view}, step {step}", view=view.title, step=seen.step))
    for name, shape in shapes.items():
        say(f"  {name:24} [{', '.join(map(str, shape))}]")
    for sentence in seen.words:
        say(sentence)
    if isinstance(seen.facts, WritingFacts):
        say(f"\n{seen.facts.prompt}{seen.facts.text}")
    return 0


def do_explain(asked: argparse.Namespace) -> int:
    if asked.method == "list":
        which = fits_asked(asked)
        with engine_of(asked) as engine:
            return _list_methods(asked, ask(engine, which, aloud(asked)))
    question = explanation_asked(asked)
    with engine_of(asked) as engine:
        (found,) = ask(engine, question, aloud(asked))
        if found.withheld:
            raise Mistake(found.withheld)
        again = ask(engine, Reproduce(question), aloud(asked)) if asked.script else None
    if asked.out:
        write_npz(Path(asked.out), {"attribution": found.attribution, **found.arrays})
    if again:
        write_source(Path(asked.script), again.program)
        write_npz(Path(asked.script).with_name("attribution.npz"), again.arrays)
    if asked.layer not in ("", found.layer):
        found = replace(found, words=(*found.words, _of_layer(asked.layer, found)))
    _show_explained(asked, found)
    return 0


def _of_layer(wanted: str, found: Explained) -> str:
    """Why the layer that was asked for is not the one that the map is of."""
    title = registry.METHODS.get(found.method).title
    if not found.layer:
        return Sentence(
            "{title} explains by the input and by no layer: {wanted} is not looked at.",
            title=title,
            wanted=quoted(wanted),
        )
    return Sentence(
        "{title} does not offer the layer {wanted} of this network; this map is of {layer}. --method "
        "list --json names the layers that each method offers.",
        title=title,
        wanted=quoted(wanted),
        layer=found.layer,
    )


def _list_methods(asked: argparse.Namespace, fits: tuple[MethodFit, ...]) -> int:
    rows: list[dict[str, Any]] = [
        {
            "method": one.method,
            "status": one.status,
            "reason": one.reason,
            "cost": round(one.cost, 2),
            "cost_most": round(one.most, 2),
            "layers": one.layers,
        }
        for one in fits
    ]
    if asked.json:
        print_json({"methods": rows})
        return 0
    for row in rows:
        price = "" if row["status"] == WITHHELD else _price(row["cost"], row["cost_most"])
        say(f"{row['method']:30}{row['status']:10}{price:20}{row['reason']}")
    return 0


def _price(cost: float, most: float) -> str:
    if most > cost:
        return Sentence("{cost:.3g} to {most:,.0f} passes", cost=cost, most=most)
    return f"{cost:.3g} {'pass' if cost == 1 else 'passes'}"


def _show_explained(asked: argparse.Namespace, found: Explained) -> None:
    proof = {
        "delta": found.delta,
        "gap": found.gap,
        "change": found.change,
        "error": found.error,
        "expected": found.facts.get("expected"),
        "points": found.facts.get("points"),
        "cost": round(found.cost, 2),
        "seconds": round(found.seconds, 3),
    }
    if asked.json:
        about = {
            "method": found.method,
            "target": found.target,
            "layer": found.layer,
            "step": found.step,
            "sample": found.sample,
        }
        shape = list(found.attribution.shape)
        print_json(
            {
                **about,
                **proof,
                "seed": found.seed,
                "holds": found.holds,
                "shape": shape,
                "signed": found.signed,
                "rounding": found.rounding,
                "spread": asdict(found.over) if found.over else None,
                "words": " ".join(found.words),
            }
        )
        return
    held = {
        True: _("its own check holds"),
        False: _("its own check does not hold"),
        None: _("it has no check of its own"),
    }
    said = _("this map is only rounding") if found.rounding else held[found.holds]
    say(
        Sentence(
            "{title}, why {target}: {said}",
            title=registry.METHODS.get(found.method).title,
            target=found.target,
            said=said,
        )
    )
    say("  ".join(f"{name} {value:.4g}" for name, value in proof.items() if value is not None))
    if found.layer:
        say(Sentence("layer {layer}", layer=found.layer))
    for sentence in found.words:
        say(sentence)


def do_score(asked: argparse.Namespace) -> int:
    question = score_asked(asked)
    tell = aloud(asked)
    with engine_of(asked) as engine:
        found = ask(engine, question, lambda words: tell(words.partition(":")[0]))
    if asked.out:
        write_source(Path(asked.out), found.table)
    if asked.json:
        told = asdict(replace(found, arrays={}))
        left_out = [dict(zip(("data", "method", "reason"), one, strict=True)) for one in found.left_out]
        kept = ("quick", "seeds", "seconds", "rows", "gates", "reveal", "draw", "more", "hanging")
        print_json({**{name: told[name] for name in kept}, "left_out": left_out, "words": " ".join(found.words)})
        return 0
    for row in found.rows:
        measures = (("hit", row.hit), ("mass", row.mass), ("auroc", row.auroc), ("cue_mass", row.cue_mass))
        said = "".join(f"  {name} {v.mean:.2f} ± {v.spread:.2f}" for name, v in measures if v is not None)
        say(
            Sentence(
                "{row}{said}  cost {mean:,.1f}{control}",
                row=Quoted(f"{row.data:13}{row.method:28}"),
                said=said,
                mean=row.cost.mean,
                control=_("  control") if row.control else "",
            )
        )
    for sentence in (*(gate.words for gate in found.gates if gate.passed), *found.words):
        say(sentence)
    return 0
