"""Writing on: the text that its own lines of PyTorch write, a start text of one's own, and words where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.spec.options import SpecError
from core.spec.questions import Look
from core.store import Run
from core.worker.look.subject import CannotShow, subject_of
from tests.trained import Trained
from tests.worker.look.conftest import ask


@pytest.fixture
def run(trained: Trained) -> Run:
    """A GPT that has read a little."""
    return trained("gpt", "characters", steps=8)


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": "Shall I compare", "length": 30, "seed": 5},
        {"prompt": "", "length": 20, "temperature": 0.0},
        {"prompt": "and so " * 20, "length": 10, "temperature": 1.5},
    ],
    ids=["drawn", "likeliest", "longer than the window"],
)
def test_the_lines_beneath_write_the_same(run: Run, options: dict[str, object]) -> None:
    seen = ask(run, "writing", **options)
    subject = subject_of(Look(run.id, "writing", runs=str(run.path.parent)))
    found = {"network": subject.network}
    exec(seen.code, found)
    count = int(str(options["length"]))
    assert found["tokens"][-count:] == seen.arrays["tokens"].tolist() and len(seen.arrays["tokens"]) == count
    np.testing.assert_allclose(found["chance"], seen.arrays["chance"], rtol=1e-5)
    words = subject.splits.vocabulary
    assert seen.facts.text == "".join(words[token] for token in seen.arrays["tokens"])
    assert "\ufffd" not in seen.facts.text
    start = found["tokens"][:-count]
    assert "".join(words[token] for token in start) == (options["prompt"] or "\n")
    assert any("only the last 64 act" in sentence for sentence in seen.words) == (len(start) > 64)
    first = subject.network(torch.tensor([start[-64:]]))[0, -1].softmax(0)[seen.arrays["tokens"][0]]
    assert float(first.detach()) <= float(seen.arrays["chance"][0]) + 1e-6  # those without a word are left out


def test_the_start_text_and_the_moment_matter(run: Run) -> None:
    one, other = (ask(run, "writing", prompt=prompt, length=40) for prompt in ("love", "time"))
    assert one.facts.text != other.facts.text
    assert ask(run, "writing", prompt="love", length=40).facts.text == one.facts.text
    assert ask(run, "writing", step=0, prompt="love", length=40).facts.text != one.facts.text


def test_characters_that_it_has_never_read_are_named(run: Run) -> None:
    with pytest.raises(CannotShow, match=r"never read: “é”, “你”\. Leave them out; .* it knows only") as told:
        ask(run, "writing", prompt="né 你")
    assert "abc" in str(told.value)
    with pytest.raises(CannotShow, match=r"“а”, “б”.* and 11 more"):
        ask(run, "writing", prompt="абвгдежзийклмнопрст")
    with pytest.raises(SpecError, match="prompt must be a word"):  # what moves a terminal's cursor comes no further
        ask(run, "writing", prompt="\x1b")
