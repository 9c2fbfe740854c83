"""look, explain and score: what is asked of a run, or of the methods."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core import registry, specs
from core.catalog.entries import WITHHELD
from core.cli.said import Mistake, aloud, pair, print_json, runs_folder, writable
from core.questions import Explain, Explained, Fits, Look, Reproduce, Reproduction, Score
from core.specs import Choice
from core.store import Store, write_npz, write_source


def do_look(asked: argparse.Namespace) -> int:
    from core.subject import CannotShow
    from core.worker import look

    view = registry.VIEWS.get(asked.view)
    options = specs.options_of(view.options, dict(pair(one) for group in asked.set for one in group))
    store = Store(runs_folder(asked))
    if asked.out and not asked.out.endswith(".npz"):
        raise Mistake(f"--out {asked.out} should end with .npz")
    run, root = store.run(asked.run).id, str(store.root)
    writable(asked.out)
    question = Look(run, view.name, asked.sample, asked.layer, asked.step, options, runs=root)
    try:
        seen = look(question, aloud(asked))
    except CannotShow as error:
        raise Mistake(str(error)) from None
    if asked.out:
        write_npz(Path(asked.out), seen.arrays)
    shapes = {name: list(array.shape) for name, array in seen.arrays.items()}
    if asked.json:
        print_json({"view": seen.view, "step": seen.step, "arrays": shapes, "words": " ".join(seen.words)})
        return 0
    print(f"{view.title}, step {seen.step}" + (f", sample {seen.sample}" if view.of_sample else ""))
    for name, shape in shapes.items():
        print(f"  {name:24} [{', '.join(map(str, shape))}]")
    for sentence in seen.words:
        print(sentence)
    return 0


def do_explain(asked: argparse.Namespace) -> int:
    from core.subject import CannotShow
    from core.worker import why

    if asked.out and not asked.out.endswith(".npz"):
        raise Mistake(f"--out {asked.out} should end with .npz")
    if asked.script and not asked.script.endswith(".py"):
        raise Mistake(f"--script {asked.script} should end with .py")
    store = Store(runs_folder(asked))
    run, root = store.run(asked.run).id, str(store.root)
    writable(asked.out, asked.script)
    try:
        if asked.method == "list":
            return _list_methods(asked, why(Fits(run, asked.step, root), aloud(asked)))
        method = registry.METHODS.get(asked.method)
        options = specs.options_of(method.options, dict(pair(one) for group in asked.set for one in group))
        question = Explain(
            run, (Choice(method.name, options),), asked.sample, asked.target, asked.layer, asked.step, asked.seed,
            runs=root,
        )  # fmt: skip
        answer = why(question, aloud(asked))
        assert isinstance(answer, tuple)
        found = answer[0]
        assert isinstance(found, Explained)
        if found.withheld:
            raise Mistake(found.withheld)
        if asked.out:
            write_npz(Path(asked.out), {"attribution": found.attribution, **found.arrays})
        if asked.script:
            again = why(Reproduce(question), aloud(asked))
            assert isinstance(again, Reproduction)
            write_source(Path(asked.script), again.program)
            write_npz(Path(asked.script).with_name("attribution.npz"), again.arrays)
    except CannotShow as error:
        raise Mistake(str(error)) from None
    if asked.layer not in ("", found.layer):
        found = replace(found, words=(*found.words, _of_layer(asked.layer, found)))
    _show_explained(asked, found)
    return 0


def _of_layer(wanted: str, found: Explained) -> str:
    """Why the layer that was asked for is not the one that the map is of."""
    title = registry.METHODS.get(found.method).title
    if not found.layer:
        return f"{title} explains by the input and by no layer: {wanted[:60]} is not looked at."
    return (
        f"{title} does not offer the layer {wanted[:60]} of this network; this map is of {found.layer}. "
        "--method list --json names the layers that each method offers."
    )


def _list_methods(asked: argparse.Namespace, fits: Any) -> int:
    rows = [
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
        print(f"{row['method']:30}{row['status']:10}{price:20}{row['reason']}")
    return 0


def _price(cost: float, most: float) -> str:
    if most > cost:
        return f"{cost:.3g} to {most:,.0f} passes"
    return f"{cost:.3g} {'pass' if cost == 1 else 'passes'}"


def _show_explained(asked: argparse.Namespace, found: Explained) -> None:
    proof = {
        "delta": found.delta, "gap": found.gap, "expected": found.facts.get("expected"),
        "cost": round(found.cost, 2), "seconds": round(found.seconds, 3),
    }  # fmt: skip
    if asked.json:
        about = {"method": found.method, "target": found.target, "layer": found.layer, "step": found.step,
                 "sample": found.sample}  # fmt: skip
        shape = list(found.attribution.shape)
        print_json({**about, **proof, "seed": found.seed, "holds": found.holds, "shape": shape,
                "words": " ".join(found.words)})  # fmt: skip
        return
    held = {True: "its own check holds", False: "its own check does not hold", None: "it has no check of its own"}
    print(f"{registry.METHODS.get(found.method).title}, why {found.target}: {held[found.holds]}")
    print("  ".join(f"{name} {value:.4g}" for name, value in proof.items() if value is not None))
    if found.layer:
        print(f"layer {found.layer}")
    for sentence in found.words:
        print(sentence)


def do_score(asked: argparse.Namespace) -> int:
    from core.subject import CannotShow
    from core.worker import score

    if asked.out and not asked.out.endswith(".csv"):
        raise Mistake(f"--out {asked.out} should end with .csv")
    if asked.seeds is not None and asked.seeds < 1:
        raise Mistake(f"--seeds {asked.seeds} should be at least 1; leave it out for the usual number")
    writable(asked.out)
    loud = aloud(asked)
    store = Store(runs_folder(asked))
    run = store.run(asked.run).id if asked.run else ""
    question = Score(asked.quick, asked.seeds or 0, tuple(asked.data), run=run, runs=str(store.root) if run else "")
    try:
        found = score(question, lambda fraction, words, _part=None: loud(fraction, words.partition(":")[0]))
    except CannotShow as error:
        raise Mistake(str(error)) from None
    if asked.out:
        write_source(Path(asked.out), found.table)
    if asked.json:
        told = asdict(replace(found, arrays={}))
        left_out = [dict(zip(("data", "method", "reason"), one, strict=True)) for one in found.left_out]
        kept = ("quick", "seeds", "seconds", "rows", "gates", "reveal", "draw")
        print_json({**{name: told[name] for name in kept}, "left_out": left_out, "words": " ".join(found.words)})
        return 0
    for row in found.rows:
        measures = (("hit", row.hit), ("mass", row.mass), ("auroc", row.auroc), ("cue_mass", row.cue_mass))
        said = "".join(f"  {name} {v.mean:.2f} ± {v.spread:.2f}" for name, v in measures if v is not None)
        print(f"{row.data:13}{row.method:28}{said}  cost {row.cost.mean:,.1f}{'  control' * row.control}")
    for sentence in (*(gate.words for gate in found.gates if gate.passed), *found.words):
        print(sentence)
    return 0
