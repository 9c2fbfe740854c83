"""Which values belong together, what is made of it, and the lines that say so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.catalog.attribution._options import Pieced, pieces, squares_at_most
from core.catalog.attribution.shapley_values import ShapleyValues
from core.catalog.entries import PICTURE, SEQUENCE, TOKENS, VECTOR, DataForm, Form
from core.worker.explain import Case, Withheld, features
from tests.trained import Trained
from tests.worker.explain.conftest import case, of_run

PICTURES = {
    "black": torch.zeros(1, 1, 28, 28),
    "grey": torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)),
    "colour": torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)),
    "narrow": torch.rand(1, 3, 5, 32, generator=torch.Generator().manual_seed(2)),
    "four channels": torch.rand(1, 4, 9, 9, generator=torch.Generator().manual_seed(3)),
}


def of(x: Tensor, kind: str) -> Case:
    """A case of any network on this input; only its form matters."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 3))
    return case(network, x, form=Form(kind, tuple(x.shape[1:])))


def tokens(ids: list[int]) -> Case:
    """A case of a small network of tokens."""
    network = nn.Sequential(nn.Embedding(9, 4, padding_idx=0), nn.Flatten(), nn.Linear(4 * len(ids), 3))
    return case(network, torch.tensor([ids]), form=DataForm(TOKENS, (len(ids),), 3, vocabulary=9))


def same_numbers(found: Tensor) -> bool:
    """Are the pieces numbered 0 to n − 1 without a gap?"""
    return torch.equal(torch.unique(found[found >= 0]), torch.arange(features.count(found)))


@pytest.mark.parametrize("side", [1, 3, 4, 64])
@pytest.mark.parametrize("name", PICTURES)
def test_squares_hold_pixels_of_one_square_and_all_channels(name: str, side: int) -> None:
    x = PICTURES[name]
    found = features.groups(of(x, PICTURE), Pieced(side=side))
    assert found.shape == (1, 1, *x.shape[2:]) and found.dtype == torch.int64 and same_numbers(found)
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in x.shape[2:]), indexing="ij")
    pairs = {(int(r) // side, int(c) // side) for r, c in zip(rows.flatten(), columns.flatten(), strict=True)}
    assert features.count(found) == len(pairs)
    for number in range(features.count(found)):
        at = found[0, 0] == number
        assert len(set((rows[at] // side).tolist())) == len(set((columns[at] // side).tolist())) == 1


@pytest.mark.parametrize("segments", [2, 9, 49])
@pytest.mark.parametrize("name", PICTURES)
def test_superpixels_are_connected_regions_of_any_picture(name: str, segments: int) -> None:
    from skimage.measure import label

    found = features.groups(of(PICTURES[name], PICTURE), Pieced(pieces="slic", segments=segments))
    assert same_numbers(found) and features.count(found) <= 3 * segments  # small regions of noise are many
    for number in range(features.count(found)):
        assert label((found[0, 0] == number).numpy(), connectivity=1).max() == 1


def test_superpixels_follow_an_edge_that_squares_cut() -> None:
    x = torch.zeros(1, 1, 28, 28)
    x[..., 13:] = 1.0
    found = features.groups(of(x, PICTURE), Pieced(pieces="slic", segments=4))
    assert not set(found[x == 0].tolist()) & set(found[x == 1].tolist())


def test_steps_features_values_and_tokens() -> None:
    sequence = of(torch.randn(1, 5, 3), SEQUENCE)
    assert features.groups(sequence, Pieced()).flatten().tolist() == [0, 1, 2, 3, 4]
    assert features.groups(sequence, Pieced()).shape == (1, 5, 1)
    assert torch.equal(features.groups(sequence, Pieced(pieces="values")), torch.arange(15).view(1, 5, 3))
    assert torch.equal(features.groups(of(torch.randn(1, 4), VECTOR), Pieced()), torch.arange(4).view(1, 4))
    picture = features.groups(of(PICTURES["narrow"], PICTURE), Pieced(pieces="values"))
    assert picture.shape == (1, 3, 5, 32) and features.count(picture) == 480
    assert features.groups(tokens([3, 1, 0, 4, 0]), Pieced()).flatten().tolist() == [0, 1, -1, 2, -1]


def test_a_text_of_nothing_but_padding_is_refused_in_words() -> None:
    with pytest.raises(Withheld, match="nothing but padding"):
        features.groups(tokens([0, 0, 0]), Pieced())


@pytest.mark.parametrize("most", [2, 4, 9, 14])
def test_few_pieces_are_never_more_than_asked_for_and_leave_nothing_out(most: int) -> None:
    for kind in ("grid", "slic"):
        for x in PICTURES.values():
            found = features.few(of(x, PICTURE), ShapleyValues(most=most, pieces=kind))
            assert features.count(found) <= most and same_numbers(found)
    steps = features.few(of(torch.randn(1, 28, 3), SEQUENCE), ShapleyValues(most=most))
    assert features.count(steps) == most and bool((steps.flatten().diff() >= 0).all())
    padded = features.few(tokens([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 0, 0]), ShapleyValues(most=most))
    assert features.count(padded) == most and padded.flatten().tolist()[-2:] == [-1, -1] and same_numbers(padded)


def test_the_catalog_knows_how_many_pieces_there_will_be() -> None:
    for x in PICTURES.values():
        one = of(x, PICTURE)
        for options in (Pieced(), Pieced(side=7), Pieced(pieces="values")):
            assert pieces(options, one.size) == features.count(features.groups(one, options))
        for most in (2, 9, 14):
            assert squares_at_most(*x.shape[2:], most) == features.count(features.few(one, ShapleyValues(most=most)))
    for one in (of(torch.randn(1, 5, 3), SEQUENCE), of(torch.randn(1, 4), VECTOR), tokens([1, 2, 3])):
        for options in (Pieced(), Pieced(pieces="values")):
            assert pieces(options, one.size) == features.count(features.groups(one, options))


def test_switched_rows_have_the_input_where_a_piece_is_on_and_the_baseline_where_it_is_off() -> None:
    torch.manual_seed(0)
    x, baseline = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 4, 4)
    found = features.squares(4, 4, side=2)
    on = torch.tensor([[True, False, False, True], [False] * 4, [True] * 4])
    rows = features.switched(x, baseline, found, on)
    for row, chosen in zip(rows, on, strict=True):
        for channel, i, j in np.ndindex(2, 4, 4):
            source = x if chosen[found[0, 0, i, j]] else baseline
            assert row[channel, i, j] == source[0, channel, i, j]


def test_answers_are_those_of_the_rows_one_by_one_and_equal_rows_cost_nothing() -> None:
    torch.manual_seed(0)
    one = of(torch.randn(1, 2, 6, 6), PICTURE)
    baseline, found = torch.zeros_like(one.inputs), features.squares(6, 6, side=2)
    baseline[..., :2, :] = one.inputs[..., :2, :]  # the first three pieces are like the baseline
    on = torch.rand(200, 9, generator=torch.Generator().manual_seed(1)) < 0.5
    on[7, 3:] = True
    by_one = torch.cat([one.values(features.switched(one.inputs, baseline, found, row[None])) for row in on])
    assert torch.allclose(features.answers(one, baseline, found, on).float(), by_one, atol=1e-6)
    whole, before = one.values(one.inputs), one.forward_rows
    spared = features.answers(one, baseline, found, on, whole)
    same = on[:, 3:].all(1)
    assert bool(same.any()) and one.forward_rows - before == int((~same).sum())
    assert torch.allclose(spared.float(), by_one, atol=1e-6) and bool((spared[same] == whole).all())
    assert features.matters(one, baseline, found).tolist() == [False] * 3 + [True] * 6


def test_shared_values_sum_to_the_pieces_and_spread_ones_are_the_pieces() -> None:
    one = of(PICTURES["colour"], PICTURE)
    found = features.squares(32, 32, side=5)
    values = torch.randn(features.count(found), dtype=torch.float64)
    shared = features.shared(one, found, values)
    assert shared.shape == one.inputs.shape and float(shared.sum()) == pytest.approx(float(values.sum()), abs=1e-4)
    assert torch.equal(features.spread(one, found, values), values[found].expand_as(one.inputs).float())
    text = tokens([3, 1, 0, 4])
    for place in (features.shared, features.spread):  # a token's embedding is shown as its sum
        map_ = place(text, features.groups(text, Pieced()), torch.tensor([1.0, -2.0, 5.0]).double())
        assert map_.sum(-1).tolist() == [[1.0, -2.0, 0.0, 5.0]]


@pytest.mark.parametrize(("preset", "data"), [("cnn", "digits"), ("transformer", "order"), ("mlp", "points")])
def test_the_lines_bind_the_same_pieces(preset: str, data: str, trained: Trained) -> None:
    one = of_run(trained(preset, data, steps=40), 1)
    for options in (Pieced(), Pieced(side=5), Pieced(pieces="slic", segments=16), Pieced(pieces="values")):
        found = features.groups(one, options)
        text = features.lines(one, found, options, "mask = {mask}\nattribution = torch.ones_like(x)", share=True)
        names = {"torch": torch, "x": one.inputs}
        exec(text, names)
        assert torch.equal(names["pieces"], found.expand_as(one.inputs))
        assert torch.allclose(names["attribution"], features.shared(one, found, torch.ones(features.count(found))))
