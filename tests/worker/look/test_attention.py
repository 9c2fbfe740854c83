"""Attention against torch's own multi-head attention, slow loops, hooks and brute force."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.spec import registry
from core.spec.questions import Seen
from core.store import Run
from core.worker.look import attention as view
from core.worker.look.subject import CannotShow, Subject
from core.worker.model.modules.attention import Attention
from core.worker.train.objective import cross_entropy
from tests.trained import Trained
from tests.worker.look.conftest import ask, subject

SMALL = {"model.width": 16, "model.heads": 2, "model.layers": 2}
TEXT = {**SMALL, "data.samples": 200}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "words": ("transformer", "reviews", TEXT),
    "words with a class token": ("transformer", "reviews", {**TEXT, "model.read_out": "class_token"}),
    "patches": ("vit", "digits", {**SMALL, "model.patch": 7}),
    "rows": ("transformer", "digits", SMALL),
    "letters": ("gpt", "copy", SMALL),
}


@pytest.fixture(params=CASES)
def run(request: pytest.FixtureRequest, trained: Trained) -> Run:
    preset, data, changes = CASES[request.param]
    return trained(preset, data, 12, **changes)


def given(at: Subject, layer: str) -> tuple[Tensor, Tensor | None]:
    """What the attention of a layer gets, by a plain hook."""
    kept: list[Any] = []
    handle = at.network.get_submodule(f"{layer}.attention").register_forward_pre_hook(lambda _m, i: kept.append(i))
    with torch.no_grad():
        at.network(at.x)
    handle.remove()
    return kept[0]


def torchs_own(ours: Attention, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """[head, query, key] from nn.MultiheadAttention with the same weights."""
    own = nn.MultiheadAttention(x.shape[-1], ours.heads, batch_first=True)
    own.in_proj_weight.data, own.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    own.out_proj.weight.data, own.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    later = torch.ones(x.shape[1], x.shape[1]).triu(1).bool() if causal else None
    padding = None if mask is None else ~mask
    with torch.no_grad():
        return own(x, x, x, key_padding_mask=padding, attn_mask=later, need_weights=True, average_attn_weights=False)[
            1
        ][0]


def test_every_layers_weights_are_those_of_torchs_own_attention(run: Run) -> None:
    seen, at = ask(run, "attention", sample=3), subject(run, "attention", sample=3)
    for layer in ("block1", "block2"):
        ours, (x, mask) = at.network.get_submodule(f"{layer}.attention"), given(at, layer)
        real = slice(None) if mask is None else mask[0]
        expected = torchs_own(ours, x, mask, ours.causal)
        np.testing.assert_allclose(seen.arrays[layer][:, real], expected[:, real].numpy(), atol=1e-5)
        np.testing.assert_allclose(seen.arrays[layer].sum(-1), 1, atol=1e-5)


def test_what_is_read_as_if_causal_is_torchs_with_a_causal_mask(run: Run) -> None:
    seen = ask(run, "attention", sample=3, causal=True, layer="block2")
    at = subject(run, "attention", sample=3)
    ours, (x, mask) = at.network.get_submodule("block2.attention"), given(at, "block2")
    real = slice(None) if mask is None else mask[0]
    shown = seen.arrays.get("shown", seen.arrays["block2"])
    expected = torchs_own(ours, x, mask, True)
    np.testing.assert_allclose(shown[:, real], expected[:, real].numpy(), atol=1e-5)
    assert not np.triu(shown, 1).any()
    np.testing.assert_allclose(shown.sum(-1), 1, atol=1e-5)


def test_padding_is_never_read(trained: Trained) -> None:
    run = trained("transformer", "reviews", 12, **TEXT)
    seen, at = ask(run, "attention", sample=3), subject(run, "attention", sample=3)
    padding = at.x[0].numpy() == 0
    assert padding.any()
    assert not seen.arrays["block1"][:, ~padding][:, :, padding].any()
    assert not seen.arrays["rollout"][~padding][:, padding].any()
    np.testing.assert_array_equal(seen.arrays["real"], ~padding)
    assert np.isneginf(seen.arrays["masked"][padding]).all()
    assert all(why == ("padding" if gone else "") for why, gone in zip(seen.facts.why_masked, padding, strict=True))
    assert any(f"{padding.sum()} padding tokens" in sentence for sentence in seen.words)


def test_the_rollout_is_a_slow_product(run: Run) -> None:
    seen = ask(run, "attention", sample=2)
    steps = seen.arrays["rollout"].shape[0]
    expected = np.eye(steps)
    for layer in ("block1", "block2"):
        mixed = np.zeros((steps, steps))
        for q in range(steps):
            for k in range(steps):
                mean = sum(float(head[q, k]) for head in seen.arrays[layer]) / len(seen.arrays[layer])
                mixed[q, k] = (mean + (q == k)) / 2  # each row of the heads' mean sums to 1, the identity's too
        expected = np.array([[sum(mixed[q] * expected[:, k]) for k in range(steps)] for q in range(steps)])
    np.testing.assert_allclose(seen.arrays["rollout"], expected, atol=1e-5)
    np.testing.assert_allclose(seen.arrays["rollout"].sum(-1), 1, atol=1e-5)


def test_the_row_is_the_models_own_step_by_step(run: Run) -> None:
    seen, at = ask(run, "attention", sample=1, layer="block2", head=1, query=2), subject(run, "attention", sample=1)
    a, width = seen.arrays, 8  # features of one head
    for key in range(len(a["keys"])):
        product = sum(float(q) * float(k) for q, k in zip(a["query"], a["keys"][key], strict=True))
        assert a["scores"][key] == pytest.approx(product / math.sqrt(width), abs=1e-5)
    np.testing.assert_allclose(a["weights"], a["block2"][1, 2], atol=1e-6)
    exps = np.exp(a["masked"] - a["masked"].max())
    np.testing.assert_allclose(a["weights"], exps / exps.sum(), atol=1e-6)
    before_out: list[Tensor] = []
    hook = at.network.get_submodule("block2.attention.out")
    handle = hook.register_forward_pre_hook(lambda _m, inputs: before_out.append(inputs[0]))
    with torch.no_grad():
        at.network(at.x)
    handle.remove()
    if seen.arrays["real"][2]:
        np.testing.assert_allclose(a["result"], before_out[0][0, 2, 8:].numpy(), atol=1e-5)


def test_temperature_divides_the_scores_and_nothing_else(trained: Trained) -> None:
    run = trained("transformer", "reviews", 12, **TEXT)
    plain, warm = ask(run, "attention", sample=3, query=1), ask(run, "attention", sample=3, query=1, temperature=4.0)
    np.testing.assert_array_equal(plain.arrays["block1"], warm.arrays["block1"])
    np.testing.assert_array_equal(plain.arrays["rollout"], warm.arrays["rollout"])
    np.testing.assert_array_equal(plain.arrays["scores"], warm.arrays["scores"])
    assert "shown" not in plain.arrays
    flat = plain.arrays["block1"][0, 1] ** 0.25
    np.testing.assert_allclose(warm.arrays["shown"][0, 1], flat / flat.sum(), atol=1e-5)
    np.testing.assert_allclose(warm.arrays["weights"], warm.arrays["shown"][0, 1], atol=1e-6)
    assert any("changes only what is shown" in sentence for sentence in warm.words)


def test_entropy_is_that_of_the_rows_of_real_tokens(run: Run) -> None:
    seen = ask(run, "attention", sample=4)
    real = seen.arrays["real"].astype(bool)
    for layer in ("block1", "block2"):
        for head, weights in enumerate(seen.arrays[layer]):
            rows = [-sum(w * math.log(w) for w in row.tolist() if w > 0) for row in weights[real]]
            assert seen.arrays[f"entropy/{layer}"][head] == pytest.approx(sum(rows) / len(rows), abs=1e-4)
        even = [math.log(np.count_nonzero(row)) for row in seen.arrays[layer][0][real]]
        assert seen.arrays[f"uniform/{layer}"][0] == pytest.approx(sum(even) / len(even), abs=1e-4)
        assert (seen.arrays[f"entropy/{layer}"] <= seen.arrays[f"uniform/{layer}"] + 1e-4).all()


def test_a_silenced_head_is_worth_what_brute_force_says(run: Run) -> None:
    seen, at = ask(run, "attention", ablation=True), subject(run, "attention")
    x, y = (part[:512] for part in at.splits.test)

    def loss(network: nn.Module) -> float:
        with torch.no_grad():
            return float(cross_entropy(network(x), y))

    whole = loss(at.network)
    expected = np.zeros((2, 2))
    for row, layer in enumerate(("block1", "block2")):
        for head in (0, 1):
            without = copy.deepcopy(at.network)
            without.get_submodule(f"{layer}.attention.out").weight.data[:, 8 * head : 8 * head + 8] = 0
            expected[row, head] = loss(without) - whole
    np.testing.assert_allclose(seen.arrays["ablation"], expected, atol=2e-5)
    assert seen.arrays["ablation"].argmax() == expected.argmax()
    assert seen.arrays["ablation_loss"][0] == pytest.approx(whole, abs=1e-5)
    row, head = divmod(int(expected.argmax()), 2)
    if expected.max() > 0:
        sentence = next(words for words in seen.words if "without it the loss goes" in words)
        assert f"head {head} of block{row + 1}" in sentence
        low = [seen.arrays[f"entropy/block{i}"] for i in (1, 2)]
        assert ("disagree" in sentence) == (int(np.argmin(low)) != int(expected.argmax()))


def test_the_weights_that_the_questions_share_are_not_changed(run: Run) -> None:
    at = subject(run, "attention")
    before = {name: value.clone() for name, value in at.network.state_dict().items()}
    logits = at.network(at.x)
    ask(run, "attention", ablation=True, temperature=2.0, causal=True)
    assert all(torch.equal(before[name], value) for name, value in at.network.state_dict().items())
    assert torch.equal(logits, at.network(at.x))


def test_a_token_taken_away_is_read_as_padding(trained: Trained) -> None:
    run = trained("transformer", "reviews", 12, **TEXT)
    seen, at = ask(run, "attention", sample=3), subject(run, "attention", sample=3)
    with torch.no_grad():
        whole = at.network(at.x)[0]
        for place in range(at.x.shape[1]):
            if at.x[0, place] == 0:
                assert np.isnan(seen.arrays["removal"][place])
                continue
            without = at.x.clone()
            without[0, place] = 0
            fall = (whole - at.network(without)[0])[whole.argmax()]
            assert seen.arrays["removal"][place] == pytest.approx(float(fall), abs=1e-4)
    able = [i for i in range(len(seen.arrays["real"])) if seen.arrays["real"][i] and i != seen.facts.query]
    most = max(able, key=lambda i: seen.arrays["weights"][i])
    worth = max(able, key=lambda i: abs(seen.arrays["removal"][i]))
    assert any("disagree: of the other tokens" in sentence for sentence in seen.words) == (most != worth)


def test_a_patch_taken_away_is_grey(trained: Trained) -> None:
    preset, data, changes = CASES["patches"]
    run = trained(preset, data, 12, **changes)
    seen, at = ask(run, "attention", sample=3), subject(run, "attention", sample=3)
    assert seen.facts.tokens[:2] == ["class", "row 0, column 0"]
    assert seen.facts.tokens[6] == "row 1, column 1"
    assert seen.facts.grid == (4, 4)
    assert np.isnan(seen.arrays["removal"][0])
    with torch.no_grad():
        whole = at.network(at.x)[0]
        without = at.x.clone()
        without[0, :, 7:14, 7:14] = 0
        fall = (whole - at.network(without)[0])[whole.argmax()]
    assert seen.arrays["removal"][6] == pytest.approx(float(fall), abs=1e-4)


def test_the_query_that_is_shown_first_is_the_one_that_is_read_out(trained: Trained) -> None:
    words = ask(trained("transformer", "reviews", 12, **TEXT), "attention", sample=3)
    assert words.facts.query == int(words.arrays["real"].sum()) - 1
    preset, data, changes = CASES["words with a class token"]
    token = ask(trained(preset, data, 12, **changes), "attention", sample=3)
    assert token.facts.query == 0
    assert token.facts.tokens[0] == "class"
    assert token.arrays["block1"].shape[1] == words.arrays["block1"].shape[1] + 1


def test_a_head_or_token_that_is_not_there_is_told(trained: Trained) -> None:
    run = trained("transformer", "reviews", 12, **TEXT)
    seen = ask(run, "attention", head=9, query=4000)
    assert seen.facts.head == 1
    assert any("heads 0 to 1" in sentence for sentence in seen.words)
    assert any("is shown" in sentence and "tokens 0 to" in sentence for sentence in seen.words)


def test_a_model_without_attention_says_which_have_it(trained: Trained) -> None:
    with pytest.raises(CannotShow, match="transformer, vit and gpt"):
        ask(trained("cnn", "digits", 20), "attention")


def test_the_code_computes_what_is_shown(run: Run) -> None:
    options: list[dict[str, Any]] = [{}, {"temperature": 0.5, "causal": True, "head": 1, "query": 3}]
    for chosen in options:
        seen, at = ask(run, "attention", sample=2, layer="block2", **chosen), subject(run, "attention", sample=2)
        names: dict[str, Any] = {"torch": torch, "network": at.copied(), "x": at.x}
        exec(seen.code, names)
        for layer in ("block1", "block2"):
            np.testing.assert_allclose(names["weights"][layer].numpy(), seen.arrays[layer], atol=1e-6)
        np.testing.assert_allclose(names["rollout"].numpy(), seen.arrays["rollout"], atol=1e-6)
        np.testing.assert_allclose(names["row"].numpy(), seen.arrays["weights"], atol=1e-6)
        np.testing.assert_allclose(names["result"].numpy(), seen.arrays["result"], atol=1e-6)


def test_measuring_tells_how_far_it_is_and_can_be_given_up(trained: Trained) -> None:
    class Enough(Exception):
        pass

    run = trained("transformer", "reviews", 12, **{**TEXT, "data.seed": 5})
    at, told = subject(run, "attention"), []

    def report(fraction: float, words: str, part: Any = None) -> None:
        told.append((fraction, words))
        if len(told) == 3:
            raise Enough

    with pytest.raises(Enough):
        view.measure(at, ["block1", "block2"], report)
    assert all(0 <= fraction <= 1 for fraction, _words in told)
    again: Callable[..., Seen] = registry.load(registry.VIEWS.get("attention").look)
    assert again is view.look


def test_a_row_of_padding_alone_has_weights(trained: Trained) -> None:
    run = trained("transformer", "reviews", 12, **TEXT)
    at = subject(run, "attention", sample=0)
    at.x = torch.zeros_like(at.x)
    seen = view.look(at, at.asked.options, lambda *_said: None)
    np.testing.assert_allclose(seen.arrays["block1"].sum(-1), 1, atol=1e-5)
    assert all(np.isfinite(seen.arrays[name]).all() for name in ("block1", "block2", "rollout", "weights", "result"))


def test_silencing_every_head_leaves_only_the_bias(trained: Trained) -> None:
    run = trained("transformer", "reviews", 12, **TEXT)
    at = subject(run, "attention", sample=3)
    attention, (x, mask) = at.copied().get_submodule("block1.attention"), given(at, "block1")
    for head in (0, 1):
        attention.out.register_forward_pre_hook(view.silence(head, 2))
    with torch.no_grad():
        out = attention(x, mask)
    torch.testing.assert_close(out, attention.out.bias.expand_as(out))
    assert F.mse_loss(out, at.network.get_submodule("block1.attention")(x, mask)) > 0
