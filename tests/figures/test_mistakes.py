"""The figures of the mistakes: cells, frames, bins, galleries."""

from __future__ import annotations

import numpy as np

from core.figures import mistakes
from core.figures.mistakes import Tile

COUNTS = np.array([[5, 0, 2, 0], [0, 7, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
NAMES = ["a", "b", "c", "never"]
TITLES = {"titles": ("says", "is"), "hover": "{n} {target} {predicted}", "scale_title": "answers"}


def test_cells_say_their_classes_and_the_diagonal_can_be_left_uncoloured() -> None:
    figure = mistakes.confusion(COUNTS, NAMES, **TITLES, chosen=(0, 2))
    heat, diagonal = figure.data
    assert np.array(heat.customdata).shape == (3, 3, 2)  # the class that never occurs is left out
    assert tuple(heat.customdata[0][2]) == (0, 2) and heat.hovertext[0][2] == "2 a c"
    assert np.isnan(np.array(heat.z, dtype=float)[1, 1]) and heat.zmax == 2
    assert [diagonal.text[i][i] for i in range(3)] == ["5", "7", "0"] and tuple(diagonal.customdata[1][1]) == (1, 1)
    assert np.isfinite(np.array(diagonal.z)).sum() == 3 and diagonal.xgap == heat.xgap  # cells as large as the others
    frame = figure.layout.shapes[0]
    assert (frame.y0, frame.y1, frame.x0, frame.x1) == (-0.5, 0.5, 1.5, 2.5)
    assert {note.text for note in figure.layout.annotations} == {"2", "1"}


def test_the_ticks_of_the_counts_are_round_numbers() -> None:
    steps = [mistakes._step(most) for most in (0, 1, 5, 7, 12, 13, 38, 226, 1200, 7000)]
    assert steps == [1, 1, 1, 2, 2, 5, 10, 50, 200, 2000]


def test_with_right_answers_every_count_is_coloured() -> None:
    figure = mistakes.confusion(COUNTS, NAMES, **TITLES, only_mistakes=False)
    z = np.array(figure.data[0].z, dtype=float)
    assert len(figure.data) == 1 and np.nansum(z) == COUNTS.sum() and figure.data[0].zmax == 7
    assert not figure.layout.shapes


def test_a_row_is_framed_and_a_class_that_never_occurs_is_not() -> None:
    frame = mistakes.confusion(COUNTS, NAMES, **TITLES, chosen=(1, -1)).layout.shapes[0]
    assert (frame.x0, frame.x1) == (-0.5, 2.5)
    assert not mistakes.confusion(COUNTS, NAMES, **TITLES, chosen=(3, -1)).layout.shapes


def test_many_classes_have_no_numbers_in_their_cells() -> None:
    figure = mistakes.confusion(np.eye(47, dtype=int) * 3, [str(i) for i in range(47)], **TITLES, only_mistakes=False)
    assert not figure.layout.annotations and figure.layout.xaxis.tickfont.size == 8


def test_no_mistakes_and_no_answers_are_drawn_too() -> None:
    assert mistakes.confusion(np.eye(3, dtype=int), NAMES[:3], **TITLES).data[0].zmax == 1
    assert mistakes.confusion(np.zeros((3, 3), dtype=int), NAMES[:3], **TITLES)


def test_empty_bins_say_nothing() -> None:
    figure = mistakes.reliability(
        np.array([0, 0.5, 1.0]),
        np.array([0, 4]),
        np.array([np.nan, 0.8]),
        np.array([np.nan, 0.75]),
        titles=("confidence", "right", "answers"),
        names=("right", "same"),
        hover="{n} {low} {high} {confidence}",
    )
    assert figure.data[0].hovertext == ("", "4 50% 100% 80.0%")
    assert tuple(figure.data[3].y) == (0, 4)


def test_the_worst_class_comes_first() -> None:
    figure = mistakes.per_class(
        ["a", "b", "c"],
        np.array([0.9, np.nan, 0.3]),
        np.array([0.8, 0.0, 1.0]),
        titles=("class", "share"),
        measures=("precision", "recall"),
    )
    assert figure.layout.xaxis.ticktext == ("b", "c", "a")


def test_a_gallery_has_a_tile_for_every_sample_and_frames_the_current_one() -> None:
    tiles = [Tile("data:,", str(i), f"sample {i}", i, wrong=i == 1, current=i == 4) for i in range(5)]
    figure = mistakes.gallery(tiles, columns=3)
    assert figure.data[0].customdata == (0, 1, 2, 3, 4)
    assert len(figure.layout.images) == 5 and len(figure.layout.shapes) == 1
    assert figure.data[1].textfont.color[1] == mistakes.WRONG != figure.data[1].textfont.color[0]


def test_numbers_and_steps_have_a_point_each() -> None:
    figure = mistakes.numbers(
        np.array([0.0, 1.0]),
        np.array([0.2, 0.9]),
        samples=np.array([4, 6]),
        current=6,
        name="n",
        titles=("target", "answer"),
        line="same",
        current_name="sample 6",
    )
    assert figure.data[0].customdata == (4, 6) and tuple(figure.data[2].x) == (1.0,)
    steps = mistakes.by_step(np.array([np.nan, 0.5]), np.array([0, 4]), titles=("step", "right"))
    assert len(steps.data[0].x) == 2
