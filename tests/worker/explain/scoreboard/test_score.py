"""The scoreboard: measures against brute force, gates that close, rows that the exported table gives again."""

from __future__ import annotations

import csv
import io
import itertools
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from core.catalog.entries import PICTURE, TOKENS
from core.catalog.trials import CHEAT, CLEAN, OWN, TRIALS, trials_of
from core.engine.wire import dumps, loads
from core.spec import registry
from core.spec.options import SpecError
from core.spec.questions import Gate, Hanging, Measured, Score, Scored, ScoreRow
from core.worker.data.splits import Splits
from core.worker.explain.scoreboard import gates, measures
from core.worker.explain.scoreboard import score as room
from core.worker.explain.scoreboard.dependence import hanging, moved
from core.worker.explain.scoreboard.revealed import drawing, judged, revealing
from core.worker.explain.scoreboard.score import score, sizes
from core.worker.look.subject import CannotShow
from core.worker.train.training import load_data
from tests.trained import Trained, scored_once

pytestmark = pytest.mark.usefixtures("trained_trials")
METHODS = ("saliency", "integrated_gradients", "occlusion", "shapley_sampling", "random", "input_magnitude")


def quiet(_fraction: float, _words: str, _part: Any = None) -> None:
    return None


@pytest.fixture(scope="module")
def small(trained_trials: None, shared_folder: Path) -> Scored:
    """The pair of honest and cheating networks, two seeds of each."""
    return scored_once(shared_folder, Score(quick=True, data=(CLEAN, CHEAT), methods=METHODS, samples=4))


# ── one map beside one mask ──────────────────────────────────────────────────────────────────────────────────────────


def test_auroc_is_scikit_learns_with_and_without_ties() -> None:
    rng = np.random.default_rng(0)
    for _try in range(20):
        values, mask = rng.random(60), rng.random(60) < 0.3
        for given in (values, np.round(values, 1)):
            assert measures.auroc(given, mask) == pytest.approx(roc_auc_score(mask, given), abs=1e-12)
    assert measures.auroc(rng.random(5), np.ones(5, bool)) == 0.5


def test_the_measures_of_a_map_that_is_the_mask_and_of_one_that_is_nothing() -> None:
    mask = np.zeros(40, bool)
    mask[3:9] = True
    assert measures.against(mask.astype(float), mask) == {"area": 0.15, "hit": 1, "mass": 1, "auroc": 1}
    assert measures.against((~mask).astype(float), mask) == {"area": 0.15, "hit": 0, "mass": 0, "auroc": 0}
    nothing = {"area": 0.15, "hit": 0.15, "mass": 0.15, "auroc": 0.5}
    assert measures.against(np.zeros(40), mask) == pytest.approx(nothing)


def test_of_several_largest_values_the_share_in_the_mask_counts() -> None:
    mask = np.array([True, True, False, False])
    assert measures.hit(np.array([1.0, 0.0, 1.0, 1.0]), mask) == pytest.approx(1 / 3)


def test_the_spread_is_over_the_seeds_and_of_one_seed_the_standard_error() -> None:
    def mark(seed: int, hit: float) -> measures.Mark:
        return measures.Mark("a", seed, "m", 0, 0.1, hit, hit, hit, None, None, None, None, 1.0, 0.1)

    one = measures.rows_of([mark(0, 0.0), mark(0, 1.0), mark(0, 1.0), mark(0, 0.0)], frozenset())[0]
    assert one.hit.mean == 0.5 and one.hit.spread == pytest.approx(np.std([0, 1, 1, 0], ddof=1) / 2)
    two = measures.rows_of([mark(0, 0.0), mark(0, 1.0), mark(1, 1.0)], frozenset({"m"}))[0]
    assert two.hit.mean == 0.75 and two.hit.spread == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert two.control and two.cue_mass is None and two.cue_chance is None and two.chance == pytest.approx(0.1)


def test_sizes_leave_the_sign_and_the_padding_out_and_sum_the_channels() -> None:
    picture = np.array([[[1.0, -2.0]], [[-3.0, 0.5]]], np.float32)
    assert np.array_equal(sizes(picture, np.ones((1, 2), bool)), [4.0, 2.5])
    assert np.array_equal(sizes(np.array([-1.0, 2.0, 9.0]), np.array([True, True, False])), [1.0, 2.0])


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Reader(torch.nn.Module):
    """Answers by the mean of some pixels: 1 where it is above a half."""

    def __init__(self, rows: slice) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x[:, 0, self.rows].mean((1, 2))
        return torch.stack([0.5 - mean, mean - 0.5], 1)


def told_twice() -> Splits:
    """Pictures whose class stands in the first two rows (the evidence) and again in the last two (the cue)."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = np.zeros((200, 1, 8, 6), np.float32)
    x[:, :, :2] = x[:, :, -2:] = y[:, None, None, None]
    evidence, cue = np.zeros((2, 200, 8, 6), bool)
    evidence[:, :2], cue[:, -2:] = True, True
    both = torch.from_numpy(x), torch.from_numpy(y)
    return Splits(both, both, both, x[:, 0], ("no", "yes"), evidence=evidence, cue=cue)


@pytest.mark.parametrize(
    ("rows", "uses", "passes"),
    [
        (slice(0, 2), "evidence", True),
        (slice(0, 2), "cue", False),
        (slice(6, 8), "cue", True),
        (slice(6, 8), "evidence", False),
    ],
)
def test_the_gate_lets_through_only_a_network_that_uses_what_it_should(rows: slice, uses: str, passes: bool) -> None:
    network: Any = Reader(rows)
    found = gates.gate("made", uses, 0, network, told_twice(), PICTURE)
    assert found.passed == passes and found.accuracy == 1.0
    assert ("left out" in found.words) != passes
    used, other = (found.without, found.otherwise) if passes else (found.otherwise, found.without)
    assert other == 1.0 and 0.35 < used < 0.65, "what is exchanged comes from a picture of any class"


def test_neutral_tokens_take_the_place_of_the_evidence_and_of_nothing_else() -> None:
    trial = next(trial for trial in TRIALS if trial.data == "reviews")
    splits = load_data(trial.experiment(0, 1))
    x, evidence = splits.test[0].numpy(), splits.evidence
    assert evidence is not None
    changed = gates.neutral(x, evidence, evidence, np.random.default_rng(0))
    assert np.array_equal(changed[~evidence], x[~evidence])
    assert not np.isin(changed[evidence], np.unique(x[evidence])).any() and (changed[evidence] > 0).all()
    network: Any = lambda part: torch.nn.functional.one_hot((part == x[0, 0]).any(1).long(), 2).float()  # noqa: E731
    assert not gates.gate("made", "evidence", 0, network, splits, TOKENS).passed


def test_a_patch_comes_from_another_picture_and_its_old_place_is_filled_with_ground() -> None:
    splits = load_data(trials_of((CHEAT,))[0].experiment(0, 1))
    x, cue, evidence = splits.test[0].numpy()[:30], splits.cue[:30], splits.evidence[:30]  # type: ignore[index]
    order = np.roll(np.arange(30), 1)
    changed = gates.swapped(x, cue, evidence, order, np.random.default_rng(0))
    for i in range(30):
        assert np.array_equal(changed[i][:, cue[order[i]]], x[order[i]][:, cue[order[i]]])
        gone = cue[i] & ~cue[order[i]]
        assert not gone.any() or changed[i][0][gone].max() < x[i][0][cue[i]].min()
        assert np.array_equal(changed[i][:, evidence[i]], x[i][:, evidence[i]])


# ── the scoreboard ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_every_network_was_seen_to_use_its_evidence(small: Scored) -> None:
    assert [(gate.data, gate.seed) for gate in small.gates] == list(itertools.product((CLEAN, CHEAT), (0, 1)))
    for gate in small.gates:
        assert gate.passed and gate.accuracy > 0.9 and gate.without < 0.45 and gate.otherwise > 0.9


@pytest.mark.slow
def test_the_rows_are_the_means_of_the_exported_table(small: Scored) -> None:
    values: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in csv.DictReader(io.StringIO(small.table)):
        for name in (*measures.MEASURES, "area", "cue_area"):
            values[line["data"], line["method"], name][line["seed"]].append(float(line[name]))
    rows = {(row.data, row.method): row for row in small.rows}
    assert set(rows) == {(data, method) for data, method, _name in values}
    for (data, method, name), seeds in values.items():
        means = [np.mean(seed) for seed in seeds.values()]
        row = rows[data, method]
        field = {"area": "chance", "cue_area": "cue_chance"}.get(name)
        if field:
            assert getattr(row, field) == pytest.approx(np.mean(means), rel=1e-6)
            continue
        assert getattr(row, name).mean == pytest.approx(np.mean(means), rel=1e-6, abs=1e-9)
        assert getattr(row, name).spread == pytest.approx(np.std(means, ddof=1), rel=1e-5, abs=1e-9)
        assert row.samples == sum(map(len, seeds.values())) and row.seeds == 2


def test_the_random_control_is_near_chance(small: Scored) -> None:
    for row in small.rows:
        if row.method == "random":
            assert row.control and row.cue_mass is not None and row.cue_chance is not None
            assert row.mass.mean == pytest.approx(row.chance, abs=0.03)
            assert row.cue_mass.mean == pytest.approx(row.cue_chance, abs=0.004)
            assert row.auroc.mean == pytest.approx(0.5, abs=0.05)


def test_the_cheat_is_revealed_and_the_honest_network_is_read_by_its_shape(small: Scored) -> None:
    assert len(small.reveal) >= 3 and not set(small.reveal) & {"random", "input_magnitude"}
    rows = {(row.data, row.method): row for row in small.rows}
    for name in small.reveal:
        honest, cheat = rows[CLEAN, name].cue_mass, rows[CHEAT, name].cue_mass
        assert honest is not None and cheat is not None and cheat.mean > 2 * honest.mean
    assert rows[CLEAN, "integrated_gradients"].mass.mean > 2 * rows[CLEAN, "random"].mass.mean
    assert "a look, not a claim" in small.words[0]
    assert any(sentence.startswith(f"{len(small.reveal)} of 4 methods reveal") for sentence in small.words)


def test_the_answer_crosses_the_wall_and_shows_an_example_with_its_masks(small: Scored) -> None:
    again = loads(dumps(small))
    assert again.rows == small.rows and set(again.arrays) == set(small.arrays)
    assert small.arrays[f"{CHEAT}/shown"].shape == small.arrays[f"{CHEAT}/cue"].shape == (28, 28)
    assert small.arrays[f"{CHEAT}/method/occlusion"].shape == (1, 28, 28)
    assert small.arrays[f"{CHEAT}/cue"].any() and small.arrays[f"{CLEAN}/evidence"].any()


def test_a_network_that_has_not_learned_is_left_out_in_words() -> None:
    found = score(Score(quick=True, seeds=1, data=("planted",), methods=("saliency",), samples=2, steps=1), quiet)
    assert not found.rows and not found.gates[0].passed and found.table.count("\n") == 1
    assert "planted, seed 0" in found.words[1] and "left out" in found.words[1]


@pytest.mark.slow
def test_withheld_methods_are_told_and_units_inside_are_not_asked() -> None:
    names = ("random", "edge_filter", *(m.name for m in registry.METHODS if m.family == "neuron"))
    found = score(Score(quick=True, seeds=1, data=("planted",), methods=names, samples=2, steps=80), quiet)
    assert {row.method for row in found.rows} == {"random"}
    assert [(data, method) for data, method, _why in found.left_out] == [("planted", "edge_filter")]
    assert found.left_out[0][2].endswith(".") and found.rows[0].cue_mass is None


def test_a_method_that_fails_is_left_out_whole_and_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = room.attribute, []

    def attribute(case: Any, chosen: Any) -> Any:
        asked.append(chosen.name)
        if chosen.name == "saliency" and asked.count("saliency") > 2:
            raise ValueError("no such luck\nat all")
        return whole(case, chosen)

    monkeypatch.setattr(room, "attribute", attribute)
    found = score(Score(quick=True, seeds=1, data=("planted",), methods=("saliency", "random"), samples=4), quiet)
    assert {row.method for row in found.rows} == {"random"} and asked.count("saliency") == 3
    assert found.left_out == (("planted", "saliency", "It failed here (ValueError: no such luck)."),)


def test_a_map_that_is_no_more_than_rounding_is_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, noise = room.attribute, "This map is rounding."

    def attribute(case: Any, chosen: Any) -> Any:
        found = whole(case, chosen)
        return replace(found, rounding=noise) if chosen.name == "saliency" else found

    monkeypatch.setattr(room, "attribute", attribute)
    found = score(Score(quick=True, seeds=1, data=("planted",), methods=("saliency", "random"), samples=2), quiet)
    assert {row.method for row in found.rows} == {"random"}
    assert found.left_out == (("planted", "saliency", noise),) and "saliency" not in found.table


def test_progress_rises_and_the_score_can_be_given_up() -> None:
    told: list[float] = []

    class Enough(Exception):
        pass

    def report(fraction: float, words: str, _part: Any = None) -> None:
        told.append(fraction)
        assert words.startswith("planted pattern, LSTM, seed ")
        if len(told) > 4:
            raise Enough

    with pytest.raises(Enough):
        score(Score(data=("planted",), methods=("occlusion",)), report)
    assert told == sorted(told) and told[-1] < 1


@pytest.mark.slow
def test_a_runs_own_network_is_scored_by_what_it_was_seen_to_use(trained: Trained) -> None:
    patched = {"data.patch": 1.0, "data.samples": 1500, "model.channels": (8, 16)}
    cheat = trained("cnn", "shapes", steps=120, **patched)
    asked = Score(run=cheat.id, runs=str(cheat.path.parent), methods=METHODS, samples=4)
    found = score(asked, quiet)
    assert {row.data for row in found.rows} == {OWN} and found.gates[0].uses == "cue" and found.gates[0].passed
    assert "uses the planted patch" in found.words[0] and "one network" in found.words[1]
    assert len(found.reveal) >= 3
    words = trained("lstm", "planted", steps=120, **{"model.read_out": "max"})
    found = score(replace(asked, run=words.id), quiet)
    assert "So it uses the evidence." in found.words[0] and not found.reveal and found.rows[0].cue_mass is None
    early = trained("lstm", "planted", steps=1)
    found = score(replace(asked, run=early.id), quiet)
    assert not found.rows and " ".join(found.words).count("left out") == 1
    with pytest.raises(CannotShow, match="The evidence of digits is not known"):
        score(replace(asked, run=trained("mlp", "digits", steps=5).id), quiet)


@pytest.mark.slow
def test_a_cheat_whose_test_patches_mean_another_class_is_judged(trained: Trained) -> None:
    patched = {"data.patch": 1.0, "data.patch_test": "random", "data.samples": 1500, "model.channels": (8, 16)}
    run = trained("cnn", "shapes", steps=120, **patched)
    found = score(Score(run=run.id, runs=str(run.path.parent), methods=METHODS, samples=4), quiet)
    (one,) = found.gates
    assert one.passed and one.uses == "cue" and one.accuracy < 0.5, "wrong nearly always, and yet it is clear why"
    assert one.without < 0.4 and one.otherwise > 0.95
    assert "uses the planted patch" in found.words[0] and f"{one.accuracy:.0%} right" in found.words[0]
    assert {row.method for row in found.rows} >= {"saliency", "random"} and len(found.reveal) >= 2


def test_a_network_that_has_learned_nothing_is_left_out_and_told_so_once(trained: Trained) -> None:
    patched = {"data.patch": 1.0, "data.patch_test": "random", "data.samples": 1500, "model.channels": (8, 16)}
    run = trained("cnn", "shapes", steps=1, **patched)
    found = score(Score(run=run.id, runs=str(run.path.parent), methods=METHODS, samples=4), quiet)
    assert not found.rows and " ".join(found.words).count("left out") == 1


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (Score(data=("digits",)), "There is no trial"),
        (Score(methods=("magic",)), "There is no attribution method"),
        (Score(seeds=-1), "seeds = -1 is out of range"),
        (Score(samples=10_000), "samples = 10000 is out of range"),
    ],
)
def test_a_mistake_is_a_sentence(question: Score, says: str) -> None:
    with pytest.raises((SpecError, registry.CatalogError), match=says):
        score(question, quiet)


# ── how much hangs on which part ─────────────────────────────────────────────────────────────────────────────────────


class Sum(torch.nn.Module):
    """Two logits ± (a · the evidence + b · the cue), each read by its mean less a half."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = self.a * (x[:, 0, :2].mean((1, 2)) - 0.5) + self.b * (x[:, 0, -2:].mean((1, 2)) - 0.5)
        return torch.stack([-value, value], 1)


@pytest.mark.parametrize(("a", "b"), [(1.0, 9.0), (3.0, 1.0), (0.0, 1.0)])
def test_what_hangs_on_a_part_is_what_the_network_adds_up_of_it(a: float, b: float) -> None:
    """Half of the others have the other class: there the part's term turns round, which is twice its size."""
    network: Any = Sum(a, b)
    rounds = [hanging(moved("made", seed, network, told_twice(), PICTURE)) for seed in range(6)]
    found = {
        part: np.mean([one.share.mean for each in rounds for one in each if one.part == part])
        for part in ("evidence", "cue")
    }
    assert found["evidence"] == pytest.approx(a / (a + b), rel=0.06, abs=1e-6)
    assert found["cue"] == pytest.approx(b / (a + b), rel=0.06)


def test_the_cheating_networks_number_hangs_on_the_patch_and_in_part_on_the_shape(small: Scored) -> None:
    parts = {(one.data, one.part): one for one in small.hanging}
    shape, patch = parts[CHEAT, "evidence"], parts[CHEAT, "cue"]
    assert 0.02 < shape.share.mean < 0.5 < patch.share.mean and shape.seeds == patch.seeds == 2
    assert parts[CLEAN, "evidence"].share.mean > 0.5 > parts[CLEAN, "cue"].share.mean
    told = " ".join(small.words)
    assert f"the shape changes it by {shape.share.mean:.0%} ± {shape.share.spread:.0%} of its size" in told
    assert set(small.more) <= set(small.draw) and "do not depend" not in told


def test_words_have_evidence_and_a_rest() -> None:
    found = score(Score(quick=True, data=("planted",), methods=("saliency", "random"), samples=2, seeds=1), quiet)
    parts = {one.part: one.share.mean for one in found.hanging}
    assert parts["evidence"] > 0.5 > parts["rest"]


# ── the verdict ──────────────────────────────────────────────────────────────────────────────────────────────────────


def row(method: str, mass: float, cue: float, spread: float = 0.01, control: bool = False) -> ScoreRow:
    """A method on the cheating network, where the shape takes 0.2 and the patch 0.01."""
    one, none = Measured(mass, spread), Measured(0.0, 0.0)
    return ScoreRow(
        CHEAT, method, control, 5, 50, none, one, none, none, Measured(cue, spread), none, none, none, 0.2, 0.01
    )


def test_who_reveals_the_cheat_must_beat_every_control_by_more_than_the_spreads() -> None:
    rows = [
        row("random", 0.2, 0.01, 0.001, control=True),
        row("input_magnitude", 0.7, 0.06, 0.005, control=True),
        row("occlusion", 0.3, 0.3),
        row("saliency", 0.5, 0.07),
        row("lime", 0.45, 0.2),
        row("kernel_shap", 0.1, 0.005),
    ]
    assert revealing(rows) == ("occlusion", "lime")
    assert drawing(rows) == ("saliency", "lime") and drawing(rows, controls=True) == ("input_magnitude",)
    words = judged(rows, [Gate(CHEAT, 0, "cue", 1.0, 0.25, 1.0, True, "")], Score()).words
    assert words[0].startswith("2 of 4 methods reveal") and "Occlusion (30%), Lime (20%)" in words[0]
    assert any("Not clear with these" in said and "Saliency (7%), KernelShap (0%)" in said for said in words)
    hangs = [Hanging(CHEAT, "evidence", Measured(0.47, 0.01), 5), Hanging(CHEAT, "cue", Measured(0.9, 0.1), 5)]
    found = judged(rows, [Gate(CHEAT, 0, "cue", 1.0, 0.25, 1.0, True, "")], Score(), hangs)
    assert found.draw == ("saliency", "lime") and found.more == ("saliency",)
    told = " ".join(found.words)
    assert "1 draw the shape more than it counts" in told and "Saliency (50%)" in told and "by 47% ± 1%" in told
    noisy = [replace(one, cue_mass=Measured(0.2, 0.2)) if one.method == "lime" else one for one in rows]
    assert revealing(noisy) == ("occlusion",)
