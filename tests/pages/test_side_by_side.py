"""The page "Ask why": what is asked of whom, what each card says, and that nothing takes the page down."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core.catalog.entries import CONTROL, OTHER, READY, WITHHELD, Method
from core.engine.protocol import Progress
from core.spec import drawings, events, registry, specs
from core.spec.events import Snapshot
from core.spec.facts import AboutSample
from core.spec.options import declared
from core.spec.questions import Explain, Explained, Fits, MethodFit, OverSeeds, Seen
from core.store import Run, Store
from core.worker.answers import answer as answer_of
from pages.explain import badges, side_by_side, why_maps
from pages.explain import why_options as options
from pages.kit import look
from pages.kit.network import made_of
from tests.pages.conftest import Drawn, Made, Visit, button, said
from tests.pages.fake_engine import FakeEngine

PAGE, IG = "explain_side_by_side", "integrated_gradients"
THREE = f"saliency,{IG},random"
SHAPES = {"picture": (1, 4, 4), "tokens": (6,), "sequence": (8, 2), "vector": (2,)}
GENERATOR = np.random.default_rng(0)


@dataclass
class Why:
    """Answers to Explain and Fits without a network. `ready`: parts that have arrived; the rest is on its way."""

    kind: str = "picture"
    ready: int = 1000
    error: str = ""  # what the question ends with after those parts
    broken: str = ""  # a method that ends the question
    fits: dict[str, MethodFit] = field(default_factory=dict)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)  # of the answers, by method
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[Explain] = field(default_factory=list)

    def __call__(self, question: Explain | Fits) -> Progress:
        if isinstance(question, Fits):
            fits = (MethodFit(name, READY, "", self.layers.get(name, ()), 1.0) for name in registry.METHODS.names())
            return Progress(True, 1.0, "", (), tuple(self.fits.get(fit.method, fit) for fit in fits))
        if question not in self.asked:
            self.asked.append(question)
        names = [choice.name for choice in question.methods]
        until = names.index(self.broken) if self.broken in names else len(names)
        parts = tuple(self.explained(name, question) for name in names[: min(until, self.ready)])
        error = self.error or ("It broke." if until < len(names) else "")
        if len(parts) < min(until, len(names)) and not self.error:
            return Progress(False, 0.5, "Saliency", parts)
        return Progress(True, 1.0, "", parts, None if error else parts, error)

    def explained(self, name: str, question: Explain) -> Explained:
        shape = SHAPES[self.kind]
        values = GENERATOR.normal(size=shape).astype(np.float32)
        made = Explained(
            method=name,
            step=question.step,
            sample=question.sample,
            target="“7”",
            layer=question.layer,
            attribution=values,
            arrays={"x": values},
            cost=1.0,
            seconds=0.01,
            seed=question.seed,
            about=self.about(),
            classes=tuple(f"name {k}" for k in range(10)),
            code="attribution = x",
            signed=registry.METHODS.get(name).signed,
        )
        return replace(made, **self.changes.get(name, {}))

    def about(self) -> AboutSample:
        shown: np.ndarray = {
            "picture": np.zeros((4, 4), np.uint8),
            "tokens": np.array([3, 1, 2, 2, 0, 0]),
            "sequence": np.zeros((8, 2), np.float32),
            "vector": np.array([0.3, -0.2], np.float32),
        }[self.kind]
        words = ("", "the", "<b>film</b>", "great") if self.kind == "tokens" else ()
        return AboutSample(shown=shown, kind=self.kind, target="7", predicted="7", confidence=0.9, vocabulary=words)

    def names(self) -> list[list[str]]:
        """The methods of each question."""
        return [[choice.name for choice in question.methods] for question in self.asked]


@pytest.fixture
def answers(fake: FakeEngine) -> Why:
    fake.why = made = Why()
    return made


@pytest.fixture
def run(store: Store, fake: FakeEngine) -> Run:
    return kept(store, fake, "mlp", "digits")


def kept(store: Store, fake: FakeEngine, preset: str, data: str, **changes: Any) -> Run:
    """A finished run that keeps weights of two moments; nothing here reads them."""
    made = store.create(specs.assign(specs.preset(preset, data), changes))
    for step in (4, 12):
        made.save_snapshot(Snapshot(step, {"w": torch.zeros(1)}))
    fake.put(made, events.FINISHED, 12)
    return made


def shown(at: AppTest) -> str:
    """All that the page says, badges and HTML with it, without escapes."""
    parts = [said(at), *(str(one.value) for one in at.get("html")), *(str(one.proto) for one in at.get("badge"))]
    return "\n".join(parts).replace("\\", "")


def chooser(at: AppTest, label: str) -> Any:
    """The selectbox with this label."""
    return next(one for one in at.selectbox if one.label == label)


def address(at: AppTest, name: str) -> str:
    return "".join(at.query_params.get(name, ""))


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_panel_stands_side_by_side(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, sample="3")
    panel = [method.name for method in registry.METHODS if method.panel and "picture" in method.takes]
    (asked,) = answers.names()  # one question, what is quick first
    assert sorted(asked) == sorted(panel)
    prices = [options.price(registry.METHODS.get(name), made_of(run)[1]).units for name in asked]
    assert prices == sorted(prices)
    assert list(drawn) == [f"why.map.{name}" for name in panel]
    assert all(one["alt"] for one in drawn.values())
    assert "Why “7”?" in shown(at)
    assert answers.asked[0].sample == 3
    assert answers.asked[0].step == 12
    assert not at.error
    assert address(at, "why") == address(at, "target") == ""


def test_every_badge_says_in_words_whether_the_check_holds(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.changes = {
        "saliency": {"holds": True, "gap": 0.004, "delta": 0.1},
        IG: {"holds": False, "gap": 0.22, "delta": -3.0},
    }
    text = shown(visit(PAGE, run=run.id, why=THREE))
    for words in ("holds · gap 0.4 %", "does not hold · gap 22.0 %", "no self-check", "1 pass", "10 ms"):
        assert words in text


def test_a_withheld_method_says_why_and_is_never_asked(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.fits = {
        "random": MethodFit("random", WITHHELD, "ReLU meets a max-pool here."),
        IG: MethodFit(IG, OTHER, "By a rule of our own.", cost=1.0),
    }
    text = shown(visit(PAGE, run=run.id, why=THREE))
    assert "ReLU meets a max-pool here." in text
    assert "not available" in text
    assert "another way" in text
    assert answers.names() == [["saliency", IG]]
    assert "why.map.random" not in drawn


def test_where_nothing_fits_the_sample_is_seen_all_the_same(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.fits = {name: MethodFit(name, WITHHELD, "Not for this.") for name in registry.METHODS.names()}
    answers.changes = {"saliency": {"withheld": "Not for this.", "attribution": np.zeros(0, np.float32)}}
    at = visit(PAGE, run=run.id, why="saliency")
    assert "sample 0" in said(at)
    assert "Not for this." in shown(at)
    assert drawn == {}


def test_what_every_method_says_is_said_once(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    of_sample = "There is no sample 9000: sample 359 is shown."
    names = ("saliency", "input_x_gradient")
    answers.changes = {name: {"words": (of_sample, f"own of {name}")} for name in names}
    words = shown(visit(PAGE, run=run.id, why=",".join(names)))
    assert words.count(of_sample) == 1
    assert "**Saliency:** own of saliency" in words and "own of input_x_gradient" in words
    assert of_sample in shown(visit(PAGE, run=run.id, why=names[0]))  # one method alone says it, too


@pytest.mark.parametrize("values", [np.zeros((1, 4, 4)), np.full((1, 4, 4), -2.0)])
def test_a_constant_map_is_a_picture_and_a_sentence(
    visit: Visit, answers: Why, run: Run, drawn: Drawn, values: np.ndarray
) -> None:
    answers.changes = {"saliency": {"attribution": values, "words": ("The map is the same everywhere.",)}}
    at = visit(PAGE, run=run.id, why=THREE)
    assert "the same everywhere" in drawn["why.map.saliency"]["alt"]
    assert "The map is the same everywhere." in shown(at)


def test_of_a_map_of_rounding_the_card_has_the_words_and_no_picture(
    visit: Visit, answers: Why, run: Run, drawn: Drawn
) -> None:
    words = "This map is rounding: its largest value is 1e-07."
    answers.changes = {"saliency": {"rounding": words, "words": (words,)}}
    text = shown(visit(PAGE, run=run.id, why=THREE))
    assert words in text and "only rounding" in text
    assert "why.map.saliency" not in drawn and f"why.map.{IG}" in drawn


def test_a_map_with_a_value_that_is_no_number_is_not_shown(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    values = np.ones((1, 4, 4))
    values[0, 1, 1] = np.nan
    answers.changes = {"saliency": {"attribution": values, "gap": float("nan"), "delta": float("nan")}}
    text = shown(visit(PAGE, run=run.id, why=THREE))
    assert "not finite" in text
    assert "why.map.saliency" not in drawn
    assert "nan" not in text.lower().replace("explanation", "")


def test_a_text_is_words_on_their_colours(
    visit: Visit, answers: Why, store: Store, fake: FakeEngine, drawn: Drawn
) -> None:
    answers.kind = "tokens"
    values = np.array([1.0, -0.5, 0.0, 0.0, 9.0, 9.0], np.float32)  # what stands on padding is not shown
    answers.changes = {IG: {"attribution": values}}
    at = visit(PAGE, run=kept(store, fake, "transformer", "reviews").id, why=IG)
    text = next(str(one.value) for one in at.get("html") if "great: +1" in str(one.value))
    assert 'data-value="-0.5"' in text
    assert "&lt;b&gt;film" in text  # a word is text, whatever is in it
    assert text.count("tabindex") == 4
    assert "9" not in text.split("great: +1")[1].split("style")[0]
    assert "name 1" in str(chooser(at, "why").options)  # classes are called by their names


@pytest.mark.parametrize(
    ("preset", "data", "kind"),
    [("gru", "adding", "sequence"), ("mlp", "points", "vector"), ("lstm", "digits", "picture")],
)
def test_series_points_and_rows_of_a_picture(
    visit: Visit, answers: Why, store: Store, fake: FakeEngine, drawn: Drawn, preset: str, data: str, kind: str
) -> None:
    answers.kind = kind
    at = visit(PAGE, run=kept(store, fake, preset, data).id, why=THREE)
    fig = drawn["why.map.saliency"]["fig"]
    assert {"sequence": "scatter", "vector": "bar", "picture": "heatmap"}[kind] == fig.data[0].type
    assert [one.label for one in at.selectbox].count("why") == (data != "adding")  # a number has no classes
    assert ("come from?" in said(at)) == (data == "adding")


def test_a_map_may_lie_over_the_picture(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, why=THREE)
    assert not drawn["why.map.saliency"]["fig"].layout.images
    at.toggle(key="why.over").set_value(True).run()
    assert drawn["why.map.saliency"]["fig"].layout.images


def test_all_methods_of_the_catalog_fit_on_one_page(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    names = registry.METHODS.names()
    answers.layers = {name: ("conv1", "conv2") for name in names if registry.METHODS.get(name).family == "layer"}
    at = visit(PAGE, run=run.id, why=",".join(names))
    for costly in [b for b in at.button if b.label == "Run it"]:
        at = costly.click().run()
    assert {name.removeprefix("why.map.") for name in drawn} == set(names)
    assert not at.exception
    assert not at.error


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_target_asks_again_and_is_in_the_address(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, why=THREE)
    chooser(at, "why").set_value("3").run()
    chooser(at, "and not").set_value("5").run()
    assert [question.target for question in answers.asked] == ["predicted", "3", "3-5"]
    assert address(at, "target") == "3-5"
    assert chooser(visit(PAGE, run=run.id, why=THREE, target="true-4"), "and not").value == "4"
    assert answers.asked[-1].target == "true-4"
    chooser(at, "why").set_value("predicted").run()
    chooser(at, "and not").set_value("").run()
    assert address(at, "target") == ""
    assert len(answers.asked) == 5  # predicted-5 was new; predicted was known


@pytest.mark.parametrize("target", ["99", "7-7", "3@2", "x", "-", "3--5", "true-", "²"])
def test_a_target_that_cannot_be_is_told(visit: Visit, answers: Why, run: Run, drawn: Drawn, target: str) -> None:
    at = visit(PAGE, run=run.id, why=THREE, target=target)
    assert "is no target here" in said(at)
    assert answers.asked[-1].target == "predicted"
    assert not at.error
    assert "is no target here" in said(at.run())  # also when the page has drawn itself again
    chooser(at, "why").set_value("2").run()
    assert "is no target here" not in said(at)


def test_a_link_with_a_strange_method_shows_the_others(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, why="saliency,<b>magic</b>")
    assert "not known here" in said(at)
    assert answers.names() == [["saliency"]]


def test_data_that_asks_at_every_step_has_a_step(
    visit: Visit, answers: Why, store: Store, fake: FakeEngine, drawn: Drawn
) -> None:
    answers.kind = "tokens"
    run = kept(store, fake, "gru", "copy")
    at = visit(PAGE, run=run.id, why=IG, target="2@5")
    (step,) = (one for one in at.number_input if one.label == "at step")
    assert step.value == 5
    assert answers.asked[-1].target == "2@5"
    step.set_value(3).run()
    assert answers.asked[-1].target == "2@3"
    last = registry.DATASETS.get("copy").form(registry.DATASETS.get("copy").options()).shape[0]
    assert "is no target here" in said(visit(PAGE, run=run.id, why=IG, target=f"2@{last}"))


def test_what_a_drawing_truly_is_nobody_asks(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[6:22, 13:16] = 255
    drawing = drawings.encode(picture)
    at = visit(PAGE, run=run.id, why=THREE, drawn=drawing, target="true")
    assert "is no target here" in said(at)
    assert "true" not in chooser(at, "why").options
    assert answers.asked[-1].drawing == drawing
    assert "your drawing" in shown(at)


def test_a_method_that_is_added_is_asked_alone(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, why="saliency")
    family = registry.METHODS.get(IG).family
    at.pills(key=f"why.family.{family}.0").set_value([IG]).run()
    assert answers.names() == [["saliency"], [IG]]
    assert address(at, "why") == f"saliency,{IG}"
    assert {"why.map.saliency", f"why.map.{IG}"} <= set(drawn)
    at.button(key="why.reset").click().run()
    assert address(at, "why") == ""


def test_the_controls_come_on_request_and_stand_last(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, why="saliency")
    at.toggle(key="why.controls.0").set_value(True).run()
    controls = [method.name for method in registry.METHODS if method.family == CONTROL]
    assert address(at, "why").split(",") == ["saliency", *controls]
    at.toggle(key="why.controls.0").set_value(False).run()
    assert address(at, "why") == "saliency"


def test_other_options_ask_for_that_method_alone(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, why=THREE)
    at.number_input(key=f"why_{IG}.steps").set_value(24).run()
    assert answers.names()[1:] == [[IG]]
    assert answers.asked[-1].methods[0].options.steps == 24  # type: ignore[attr-defined]
    at.number_input(key=f"why_{IG}.steps").set_value(10**9).run()
    assert "out of range" in shown(at)
    assert len(answers.asked) == 2  # what cannot be is not asked


def test_a_layer_is_for_the_methods_that_offer_it(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.layers = {"random": ("linear1", "relu1")}
    at = visit(PAGE, run=run.id, why=THREE)
    at.selectbox(key="why.layer").set_value("relu1").run()
    assert answers.names()[1:] == [["random"]]
    assert answers.asked[-1].layer == "relu1"
    assert address(at, "layer") == "relu1"


def test_another_seed_is_another_question(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    at = visit(PAGE, run=run.id, why=THREE)
    at.number_input(key="why.seed").set_value(5).run()
    assert answers.asked[-1].seed == 5


def test_a_method_that_draws_can_be_taken_over_several_seeds_and_over_one_again(
    visit: Visit, answers: Why, run: Run, drawn: Drawn
) -> None:
    told = OverSeeds(seeds=[0, 1, 2, 3, 4], overlap=0.81, correlation=0.93, deviation=0.12)
    answers.changes = {"saliency": {"draws": True}}
    at = visit(PAGE, run=run.id, why=THREE)
    assert [one.key for one in at.button if str(one.key).startswith("why.spread.")] == ["why.spread.saliency"]
    answers.changes = {"saliency": {"draws": True, "over": told}}
    at.button("why.spread.saliency").click().run()
    assert answers.asked[-1].spread == ("saliency",) and answers.names()[-1] == ["saliency"]
    assert "5 seeds: top tenth 81% in common" in shown(at).replace(" %", "%") and "why.map.saliency" in drawn
    answers.changes = {}
    at.button("why.spread.saliency").click().run()
    assert "5 seeds" not in shown(at)


def test_a_costly_method_waits_for_a_word(
    visit: Visit, answers: Why, run: Run, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    price = options.price(registry.METHODS.get(IG), made_of(run)[1]).units
    assert price > 10
    monkeypatch.setattr(side_by_side, "COSTLY", price - 1)
    at = visit(PAGE, run=run.id, why=THREE)
    assert answers.names() == [["random", "saliency"]]
    assert f"about {price:.0f} passes" in shown(at)
    button(at, "Run it").click().run()  # type: ignore[attr-defined]
    assert answers.names()[1:] == [[IG]]
    assert f"why.map.{IG}" in drawn


# ── on the way ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pictures_appear_as_they_are_ready(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.ready = 1
    at = visit(PAGE, run=run.id, why=THREE)
    assert set(drawn) == {"why.map.random"}
    assert shown(at).count("on its way") == 2
    assert "sample 0" in said(at)
    answers.ready = 2
    at.run()
    assert set(drawn) == {"why.map.saliency", "why.map.random"}
    answers.ready = 3
    at.run()
    assert "on its way" not in shown(at)
    assert len(answers.asked) == 1  # all of it is one question
    assert [one for one in at.segmented_control if one.key == "look.beneath"]


def test_a_method_that_breaks_the_worker_leaves_the_others(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.broken = "saliency"
    at = visit(PAGE, run=run.id, why=THREE)
    assert answers.names() == [["random", "saliency", IG], [IG]]
    assert set(drawn) == {"why.map.random", f"why.map.{IG}"}
    assert "It broke." in shown(at)
    assert "failed" in shown(at)
    answers.broken = ""
    at.button(key="why.again").click().run()
    assert "why.map.saliency" in drawn


def test_what_fails_twice_in_the_same_way_is_not_tried_on(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.ready, answers.error = 0, "The data cannot be read."
    at = visit(PAGE, run=run.id, why=THREE)
    assert len(answers.asked) == 2
    assert shown(at).count("The data cannot be read.") == 3
    assert not at.exception


def test_it_can_be_given_up_and_asked_again(
    visit: Visit, answers: Why, fake: FakeEngine, run: Run, drawn: Drawn
) -> None:
    answers.ready = 1
    at = visit(PAGE, run=run.id, why=THREE)
    at.button(key="why.cancel").click().run()
    assert fake.cancelled
    assert "Not everything was run." in said(at)
    assert len(answers.asked) == 1
    answers.ready = 3
    at.button(key="why.again").click().run()
    assert answers.names()[1:] == [["saliency", IG]]  # what had arrived stays
    assert len(drawn) == 3


def test_another_sample_gives_up_what_is_under_way(
    visit: Visit, answers: Why, fake: FakeEngine, run: Run, drawn: Drawn
) -> None:
    answers.ready = 1
    at = visit(PAGE, run=run.id, why=THREE)
    at.number_input(key="sample").set_value(4).run()
    assert fake.cancelled == ["ticket 2"]  # the first is Fits
    assert [question.sample for question in answers.asked] == [0, 4]


def test_a_run_without_weights_says_so(visit: Visit, store: Store, fake: FakeEngine, answers: Why) -> None:
    made = store.create(specs.preset("mlp", "digits"))
    fake.put(made, events.RUNNING)
    assert "keeps no weights yet" in said(visit(PAGE, run=made.id))
    assert answers.asked == []


def test_when_the_fit_cannot_be_told_the_page_stands(visit: Visit, fake: FakeEngine, run: Run) -> None:
    fake.why = lambda _question: Progress(True, 1.0, "", (), error="The weights cannot be read.")
    at = visit(PAGE, run=run.id)
    assert "cannot be read" in at.error[0].value.replace("\\", "")
    assert chooser(at, "why").value == "predicted"


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_table_arrays_and_code_stand_beneath(visit: Visit, answers: Why, run: Run, drawn: Drawn) -> None:
    answers.changes = {IG: {"holds": True, "gap": 0.004, "delta": 0.1, "code": "attribution = captum.attr.…"}}
    at = visit(PAGE, run=run.id, why=THREE)
    at.segmented_control(key="look.beneath").set_value("table").run()
    table = at.dataframe[0].value
    assert list(table["method"]) == ["Saliency", "Integrated Gradients", "Random"]
    assert list(table["gap"]) == ["", "0.004", ""]
    at.segmented_control(key="look.beneath").set_value("arrays").run()
    assert not at.exception
    at.segmented_control(key="look.beneath").set_value("code").run()
    at.selectbox(key="why.code").set_value(IG).run()
    assert "captum.attr" in at.code[0].value


def test_the_download_has_the_maps_of_all_methods() -> None:
    made = Why()
    question = Explain(run="r", methods=())
    maps = {name: made.explained(name, question) for name in ("saliency", IG)}
    maps[IG] = replace(maps[IG], arrays={"x": np.ones(3), "baseline": np.zeros(3)})
    form = registry.DATASETS.get("digits").form(registry.DATASETS.get("digits").options())
    seen = side_by_side.gathered(side_by_side.Plan(form, 12, ()), maps)
    with np.load(io.BytesIO(look.npz(seen))) as found:
        assert set(found) == {"saliency", IG, f"{IG}/baseline", "x"}
        np.testing.assert_array_equal(found[IG], maps[IG].attribution)
    assert isinstance(seen, Seen)


@pytest.mark.parametrize(("gap", "words"), [(0.0041, "0.4 %"), (0.0, "< 0.1 %"), (0.221, "22.1 %"), (31.0, "3,100 %")])
def test_a_gap_in_words(gap: float, words: str) -> None:
    assert badges.share(gap) == words


@pytest.mark.parametrize("method", list(registry.METHODS), ids=lambda method: method.name)
def test_the_price_of_every_method_is_known_without_a_worker(method: Method) -> None:
    for name in ("digits", "order", "adding", "points"):
        entry = registry.DATASETS.get(name)
        form = entry.form(entry.options())
        if form.kind in method.takes:
            assert options.price(method, form).units >= 0
    assert options.family_word(method.family)
    json.dumps(sorted(declared(method.options)))


def test_the_places_of_a_map_are_said_as_people_say_them() -> None:
    made = Why("tokens")
    found = replace(made.explained(IG, Explain(run="r", methods=())), attribution=np.array([1.0, -2.0, 0, 0, 0, 0]))
    assert "“great”" in why_maps.alt(found, "IG")
    picture = np.zeros((3, 4, 4))
    picture[:, 2, 1] = 1.0
    found = replace(Why().explained(IG, Explain(run="r", methods=())), attribution=picture)
    assert "the largest value is 3 at row 2, column 1" in why_maps.alt(found, "IG")


# ── with a worker's own answers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def real(fake: FakeEngine) -> Callable[[Explain | Fits], Progress]:
    def told(question: Explain | Fits) -> Progress:
        try:
            answer = answer_of(replace(question, runs=str(fake.store.root)), lambda *_: None)
        except Exception as error:  # noqa: BLE001 (as the engine tells it)
            return Progress(True, 1.0, "", (), error=str(error))
        return Progress(True, 1.0, "", (), answer)

    fake.why = told
    return told


@pytest.mark.parametrize(
    ("preset", "data"),
    [("cnn", "digits"), ("transformer", "order"), ("mlp", "points"), ("gru", "adding"), ("gru", "copy")],
)
def test_a_workers_answers_are_shown(
    visit: Visit, made: Made, drawn: Drawn, real: Callable[..., Progress], preset: str, data: str
) -> None:
    at = visit(PAGE, run=made(preset, data).id, why=THREE, sample="1")
    assert not at.error
    assert "sample 1" in said(at)
    assert "failed" not in shown(at)
    assert "gap" in shown(at)
    if data not in ("order", "copy"):
        assert {f"why.map.{name}" for name in THREE.split(",")} <= set(drawn)
