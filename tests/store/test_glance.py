"""A run at a glance."""

from __future__ import annotations

import itertools

import pytest

from core.spec import specs
from core.spec.events import Event
from core.store import Store
from core.store.glance import POINTS, glance

DIGITS = specs.preset("cnn", "digits")


def test_it_reads_on_where_it_stopped(store: Store) -> None:
    run = store.create(DIGITS)
    assert glance(run).loss == []
    log = run.log()
    log.append([Event(1, "train/loss", 2.0, 0.0), Event(1, "val/accuracy", 0.5, 0.0)])
    assert glance(run).loss == [2.0]
    log.append([Event(2, "train/loss", 1.0, 0.0), Event(2, "val/accuracy", 0.25, 0.0)])
    assert glance(run).test_accuracy is None
    log.append([Event(2, "test/accuracy", 0.125, 0.0)])
    log.close()
    seen = glance(run)
    assert seen.loss == [2.0, 1.0]
    assert (seen.best_accuracy, seen.last_accuracy, seen.test_accuracy) == (0.5, 0.25, 0.125)


def test_a_long_curve_is_thinned_evenly(store: Store) -> None:
    run = store.create(DIGITS)
    log = run.log()
    log.append(Event(step, "train/loss", float(step), 0.0) for step in range(10_000))
    log.close()
    loss = glance(run).loss
    assert POINTS <= len(loss) <= 2 * POINTS
    assert len({b - a for a, b in itertools.pairwise(loss)}) == 1


def test_a_log_that_was_mended_is_read_again(store: Store) -> None:
    run = store.create(DIGITS)
    rows = [f'{{"step":{step},"time":0,"values":{{"train/loss":2.0}}}}\n' for step in (1, 2)]
    run.events_path.write_text("".join(rows))
    assert len(glance(run).loss) == 2
    run.events_path.write_text(rows[0])
    assert glance(run).loss == [2.0]


def test_a_row_that_a_broken_disk_spoilt_is_left_out(store: Store) -> None:
    run = store.create(DIGITS)
    rows = ('"rubbish"', "1e", "-", "1e-05", "2.5")
    run.events_path.write_text("".join(f'{{"step":1,"time":0,"values":{{"train/loss":{row}}}}}\n' for row in rows))
    assert glance(run).loss == [1e-05, 2.5]


def test_a_log_that_was_cut_and_has_grown_past_it_is_read_again(store: Store) -> None:
    run = store.create(DIGITS)
    log = run.log()
    log.append([Event(step, "train/loss", 2.0, 0.0) for step in (1, 2)])
    assert glance(run).loss == [2.0, 2.0]
    log.forget_after(1)
    log.append([Event(step, "train/loss", 1.125, 0.0) for step in (2, 3)])
    log.close()
    assert glance(run).loss == [2.0, 1.125, 1.125]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_is_taken_as_it_is(store: Store, value: str) -> None:
    run = store.create(DIGITS)
    log = run.log()
    log.append([Event(1, "train/loss", float(value), 0.0)])
    log.close()
    assert str(glance(run).loss[0]) == value
