"""The arithmetic of the benchmark, on invented times: nothing here is timed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from core.bench import measure, turns
from core.bench.loops import Batches, Session, bare, experiment_of, network_of, peer, peer_case
from core.bench.processes import quiet_ones, rate_while_full
from core.bench.turns import Plan, Ratio, Stopwatch, compared, median_of, pair_ratios, take_turns, whole_time
from core.engine.live import decode_frame
from core.spec.events import FAILED
from core.spec.options import SpecError
from core.spec.specs import assign
from core.store import Store
from core.worker.train.training import Training, load_data

PAIRS = 30


def scripted(seconds_per_step: float, calls: list[tuple[str, int]], name: str):
    def contestant(steps: int) -> float:
        calls.append((name, steps))
        return steps * seconds_per_step

    return contestant


def test_a_ratio_is_formed_inside_each_pair_so_that_drift_cancels():
    drift = [1 + 0.1 * i for i in range(4 * PAIRS)]
    slow = [2 * one for one in drift]
    assert pair_ratios(slow, drift, 4) == pytest.approx([2.0] * PAIRS)
    found = compared(slow, drift, 4)
    assert (found.ratio, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_turns_that_fill_no_pair_are_left_out():
    assert len(pair_ratios([1.0] * 11, [1.0] * 11, 4)) == 2


def test_the_interval_holds_the_median_and_narrows_with_agreement():
    wild, tame = [0.8, 1.2] * 20 + [1.0], [0.99, 1.01] * 20 + [1.0]
    for ratios in (wild, tame):
        found = median_of(ratios)
        assert found.ratio == 1.0
        assert found.low <= found.ratio <= found.high
    assert median_of(wild).high - median_of(wild).low > median_of(tame).high - median_of(tame).low
    assert median_of(wild) == median_of(wild)


def test_rare_work_counts_in_the_whole_time_and_not_in_the_median():
    plain, other = [1.0] * 120, [1.0] * 120
    other[7] = 13.0
    assert compared(plain, other, 4).ratio == 1.0
    assert whole_time(plain, other, 4).ratio == pytest.approx(120 / 132)


def test_contestants_take_turns_in_a_rotating_order():
    calls: list[tuple[str, int]] = []
    seconds = take_turns({n: scripted(s, calls, n) for n, s in (("a", 0.01), ("b", 0.02), ("c", 0.04))}, Plan(2, 3))
    assert [len(one) for one in seconds.values()] == [6, 6, 6]
    assert seconds["b"] == pytest.approx([0.02] * 6)
    order = [name for name, steps in calls if steps == 10]  # 0.1 s of the first, and no warming up
    assert "".join(order) == "abcbcacababcbcacab"


def test_a_slow_step_is_a_turn_of_its_own():
    assert turns.steps_per_turn(lambda steps: 3.0 * steps) == 1


def test_a_stopwatch_stands_still_in_the_turns_of_others(monkeypatch):
    now = SimpleNamespace(time=100.0)
    monkeypatch.setattr(turns.time, "perf_counter", lambda: now.time)
    watch = Stopwatch()
    now.time += 2
    assert watch() == 2
    watch.stop()
    now.time += 50
    watch.go()
    now.time += 1
    assert watch() == 3


def test_the_rate_of_jobs_counts_only_while_every_slot_is_busy():
    steady = [0.1 * i for i in range(101)]  # ten steps a second for ten seconds
    late = [2 + 0.1 * i for i in range(101)]
    assert rate_while_full([steady], 1) == pytest.approx(10)
    assert rate_while_full([steady, late], 2) == pytest.approx(20, rel=0.02)
    third = [10.5 + 0.1 * i for i in range(101)]  # takes the first's slot after half a second
    assert rate_while_full([steady, late, third], 2) == pytest.approx(20 - 5 / 10, rel=0.05)


def test_rounds_of_a_busy_machine_are_left_out_unless_all_are():
    assert quiet_ones([1.0, 1.9, 1.8], [0.9, 0.1, 0.0]) == [1.9, 1.8]
    assert quiet_ones([1.0, 1.9], [0.9, 0.8]) == [1.0, 1.9]


@pytest.mark.parametrize("case", ["cnn", "lstm"])
def test_the_bare_loop_trains_what_the_trainer_trains(case):
    experiment = assign(experiment_of(case), {"train.schedule": "constant"})
    splits, cpu = load_data(experiment), torch.device("cpu")
    training, network = Training(experiment, splits), network_of(experiment, cpu)
    turns.advance(bare(network, experiment, splits), 3)
    turns.advance(iter(training), 4)  # the weights before the first step, and three steps
    pairs = zip(training.network.parameters(), network.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("watched", [False, True])
def test_a_session_keeps_what_a_run_keeps(store: Store, monkeypatch, watched):
    monkeypatch.setattr("core.bench.loops.EAGER_SECONDS", 0.0)
    session = Session(store, experiment_of("mlp"), watched=watched)
    (run,) = store.runs()
    for _turn in range(30 if watched else 5):  # the second frame is due half a second after the first, at the latest
        session(100)
        if decode_frame(run.frame()).step:
            break
    assert run.status().state != FAILED
    assert run.latest()["train/loss"] > 0
    assert run.snapshots()[0] == 0
    assert (decode_frame(run.frame()).step > 0) == watched  # the frame before the first step is always there


class Count:
    """A meter that says when to stop."""

    def __init__(self, steps: int) -> None:
        self.steps, self.made = steps, 0

    def tick(self) -> bool:
        self.made += 1
        return self.made >= self.steps


def test_our_trainer_is_a_peer_on_somebody_elses_module():
    case = peer_case("mlp")
    module, meter = case.module(), Count(8)
    before = [p.detach().clone() for p in module.parameters()]
    peer(case, module, case.batches(torch.device("cpu")), meter)
    assert meter.made == 8
    assert not any(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))


def test_our_trainer_as_a_peer_answers_every_step_of_a_sequence_too():
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = torch.nn.Embedding(7, 5), torch.nn.Linear(5, 7)

        def forward(self, x):
            return self.head(self.embedding(x))

    ids, meter = torch.randint(0, 7, (64, 9)), Count(3)
    peer(SimpleNamespace(lr=1e-3), Model(), Batches(ids[:, :-1], ids[:, 1:], 16), meter)
    assert meter.made == 3


def test_the_cases_of_the_comparison_are_those_of_the_literature():
    modules = {name: peer_case(name).module() for name in ("mlp", "cnn28", "resnet20")}
    sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()}
    assert sizes == {"mlp": 784 * 64 + 64 + 64 * 10 + 10, "cnn28": 56_554, "resnet20": 269_722}


def test_an_unknown_case_is_refused_in_words():
    with pytest.raises(SpecError, match="There is no case 'nothing'; there are mlp"):
        measure.run(cases=["nothing"])


def test_what_run_returns_is_json(monkeypatch):
    monkeypatch.setattr(measure, "_measured", lambda *_rest: iter([("trainer", Ratio(0.98, 0.97, 0.99))]))
    said: list[str] = []
    found = json.loads(json.dumps(measure.run(cases=["mlp"], quick=True, say=said.append)))
    assert found["rows"] == [{"case": "mlp", "name": "trainer", "ratio": 0.98, "low": 0.97, "high": 0.99}]
    assert found["device"] and found["torch"]
    assert len(said) == 2
