"""The page of the counter-example, with a worker's real answers."""

from __future__ import annotations

import numpy as np

from core.figures.counter_example import outline
from pages.explain import counter_example
from tests.pages.conftest import Drawn, Made, Visit, said
from tests.worker.look.conftest import ask


def test_the_removed_pieces_are_outlined(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = made("cnn", "digits")
    at = visit("explain_counter_example", run=run.id, sample="3")
    assert {"counter.sample", "counter.answers", "counter.removals"} <= set(drawn)
    seen = ask(run, "counter_example", sample=3)
    lines = drawn["counter.sample"]["fig"].data[3:]
    assert len(lines) == 3
    assert tuple(lines[0].x) == tuple(outline(counter_example.places(seen, "removed"))[0])
    assert tuple(lines[2].y) == tuple(outline(counter_example.places(seen, "kept"))[1])
    whole, without = (np.array(trace.z)[..., 0] for trace in drawn["counter.sample"]["fig"].data[:2])
    assert np.array_equal(whole != without, counter_example.places(seen, "removed") & (whole != 0))
    assert "random order" in said(at)
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert len(at.dataframe[0].value) == 10 and not at.exception


def test_a_sentence_with_the_words_struck_through(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_counter_example", run=made("transformer", "order", **{"train.steps": 150}).id, sample="3")
    html = [str(block.body) for block in at.get("html") if 'class="ll-tokens"' in str(block.body)]
    assert len(html) == 3 and "<del>" not in html[0] and html[1].count("<del>") > 0
    keys = {str(widget.key) for kind in (at.number_input, at.selectbox) for widget in kind}
    assert "look_counter_example.baseline" in keys and "look_counter_example.side" not in keys


def test_points_and_numbers(visit: Visit, made: Made, drawn: Drawn) -> None:
    visit("explain_counter_example", run=made("mlp", "points", **{"data.samples": 200}).id)
    assert len(drawn["counter.sample"]["fig"].data) == 3
    at = visit("explain_counter_example", run=made("gru", "adding", **{"data.samples": 100, "model.hidden": 8}).id)
    assert "one class" in said(at)
