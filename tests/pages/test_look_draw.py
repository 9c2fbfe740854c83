"""The draw page and what stands behind its route, with a worker's real answers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.engine.live import decode_frame
from core.engine.protocol import EngineGone
from core.spec import drawings, events, specs
from core.spec.questions import Look, Seen
from core.store import Run, Store
from core.worker import answers
from pages.kit import engine as doors
from pages.look_inside import draw, drawn
from tests.pages.conftest import said
from tests.pages.fake_engine import FakeEngine, finished
from tests.trained import Trained, copied

Visit = Callable[..., AppTest]
PICTURE = np.zeros((28, 28), np.uint8)
PICTURE[4:24, 12:16] = 255
TEXT = drawings.encode(PICTURE)


@pytest.fixture
def run(store: Store, fake: FakeEngine, trained: Trained) -> Run:
    """A small trained run, with the real answers of a worker."""
    made = copied(trained("mlp", "digits", steps=12), store)
    fake.put(made, events.FINISHED, 12)
    fake.look = answer
    return made


def answer(question: Look) -> Seen:
    return answers.look(question, lambda *_: None)


def given(at: AppTest) -> dict[str, Any]:
    """What the pad was given."""
    found = [json.loads(part.proto.json) for part in at.get("bidi_component")]
    return next(data for data in found if "drawn" in data)


def test_without_a_run_the_page_says_what_to_do(visit: Visit) -> None:
    at = visit("look_draw")
    assert "Choose a run above" in said(at)
    assert [button.label for button in at.button] == ["Train a network"]


def test_what_cannot_be_drawn_is_said_with_what_would_do(visit: Visit, fake: FakeEngine, store: Store) -> None:
    for data, preset in (("order", "lstm"), ("points", "mlp"), ("adding", "gru")):
        at = visit("look_draw", run=finished(store, specs.preset(preset, data)).id)
        assert "Only pictures can be drawn" in said(at)
        assert "cnn on digits" in said(at)
        assert not [part for part in at.get("bidi_component") if "drawn" in json.loads(part.proto.json)]


def test_a_run_without_weights_is_waited_for(visit: Visit, store: Store) -> None:
    assert "no weights yet" in said(visit("look_draw", run=finished(store, specs.preset("cnn", "digits")).id))


def test_the_page_tells_what_the_pad_shows(visit: Visit, run: Run, fake: FakeEngine) -> None:
    at = visit("look_draw", run=run.id, sample="5", layer="head", step="4")
    layers = [spec.name for spec in answers.subject_of(asked(fake, run)).layers]
    assert given(at) | {"words": 0} == {
        "run": run.id,
        "step": 4,
        "layer": "head",
        "layers": layers,
        "sample": 5,
        "drawn": "",
        "height": draw.HEIGHT,
        "words": 0,
    }
    assert (asked(fake, run).sample, asked(fake, run).layer, asked(fake, run).step) == (5, "head", 4)
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in said(at)
    assert "Your drawing" not in said(at)
    seen = answer(asked(fake, run))
    assert all(word in said(at).replace("\\", "") for word in seen.words)


def asked(fake: FakeEngine, run: Run) -> Look:
    """The page's last question, as an engine would hand it on."""
    question = [question for question in fake.asked if isinstance(question, Look)][-1]
    return Look(**{**vars(question), "runs": str(run.path.parent)})


def test_a_drawing_in_the_address_is_looked_at(visit: Visit, run: Run, fake: FakeEngine) -> None:
    at = visit("look_draw", run=run.id, drawn=TEXT)
    assert given(at)["drawn"] == TEXT
    assert asked(fake, run).drawing == TEXT
    assert "until you clear the pad" in said(at)
    shares = {row["class"]: row["share"] for row in draw.table(answer(asked(fake, run)))}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert list(shares) == list("0123456789")


def test_a_drawing_that_cannot_be_read_is_told(visit: Visit, run: Run) -> None:
    at = visit("look_draw", run=run.id, drawn="nonsense")
    assert given(at)["drawn"] == ""
    assert any("cannot be read" in str(warning.value) for warning in at.warning)


# ── behind the route ─────────────────────────────────────────────────────────


class Door:
    """Answers as the engine does."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def ask(self, question: Look, timeout: float) -> Seen:
        return answer(Look(**{**vars(question), "runs": str(self.run.path.parent)}))


def test_an_answer_holds_what_the_view_finds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "handle", lambda: Door(run))
    got = drawn.answer(json.dumps({"run": run.id, "drawing": TEXT, "layer": "head"}))
    assert isinstance(got, bytes)
    frame, seen = decode_frame(got), answer(Look(run.id, "draw", layer="head", drawing=TEXT, runs=str(run.path.parent)))
    np.testing.assert_array_equal(frame.arrays["answers"], seen.arrays["answers"])
    np.testing.assert_array_equal(frame.arrays["shown"], PICTURE)
    assert frame.meta["view"] == "vector"
    assert frame.meta["words"] == list(seen.words)
    assert frame.meta["target"] == ""


def test_what_is_no_number_can_be_told(run: Run) -> None:
    """A run that has diverged."""
    seen = answer(Look(run.id, "draw", drawing=TEXT, runs=str(run.path.parent)))
    broken = Seen(
        **{
            **vars(seen),
            "arrays": {name: array * np.nan for name, array in seen.arrays.items()},
            "facts": dataclasses.replace(seen.facts, confidence=float("nan")),
        }
    )
    frame = drawn.frame(broken)
    assert json.loads(json.dumps(frame.meta, allow_nan=False))["confidence"] == 0
    assert not frame.arrays["answers"].any()


def test_an_engine_that_has_gone_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def ask(self, _question: Look, _timeout: float) -> Seen:
            raise EngineGone("The engine went away.")

    monkeypatch.setattr(doors, "handle", Gone)
    assert json.loads(drawn.answer(json.dumps({"run": run.id}))) == {"error": "The engine went away."}


@pytest.mark.parametrize("text", [None, "", "x", "[]", "3", "[" * 4000, "x" * 5000, '{"run": 1}', '{"step": true}'])
def test_what_is_no_question_never_reaches_the_engine(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "handle", lambda: pytest.fail("it did"))
    assert "no drawing" in json.loads(drawn.answer(text))["error"]


@pytest.mark.parametrize("low", [None, 0.0])
def test_levels_stand_for_values(low: float | None) -> None:
    values = np.abs(np.random.default_rng(0).normal(size=(5, 6))).astype(np.float32)
    levels, least, most = drawn.quantised(values, low)
    np.testing.assert_allclose(least + levels / 255 * (most - least), values, atol=(most - least) / 500)
    assert levels.max() == 255
    flat, least, most = drawn.quantised(np.full((2, 2), 3.0), low)
    assert not flat.any() or low == 0.0
    assert most == 3.0
