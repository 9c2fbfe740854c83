"""Does a network really use the evidence? Asked by exchanging it and looking at the accuracy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.catalog.entries import TOKENS
from core.catalog.trials import CUE, EVIDENCE, OWN, REST
from core.spec.questions import Gate
from core.spec.sentences import Sentence, _, join
from core.worker.data.splits import Splits
from core.worker.model.build import Network

LEAST = 0.9  # accuracy that a network must have to be asked at all
LOST = 0.25  # of what it knew beyond chance, it may keep so much without what it should use
HELD = 0.05  # accuracy that it may lose when everything else is exchanged


def gate(data: str, uses: str, seed: int, network: Network, splits: Splits, kind: str) -> Gate:
    """The accuracy on the test samples: as they are, without what the network should use, and without the rest."""
    x, y = splits.test
    rng = np.random.default_rng(seed)
    parts = exchanged(splits, kind, rng)
    used = parts.pop(uses)
    (rest,) = parts.values()
    shares = [_accuracy(network, x, y)]
    shares += [_accuracy(network, torch.from_numpy(changed), y) for changed in (used, rest)]
    accuracy, without, otherwise = shares
    chance = 1 / max(1, len(splits.classes))
    passed = accuracy >= LEAST and without <= chance + LOST * (accuracy - chance) and otherwise >= accuracy - HELD
    return Gate(data, seed, uses, accuracy, without, otherwise, passed, _words(data, uses, seed, shares, passed))


def own_gate(seed: int, network: Network, splits: Splits, kind: str, right: float) -> Gate:
    """Whether a network whose answers are often wrong goes by the planted patch: do its answers follow the patch?

    splits: with the network's own answers as labels (`as_answered`), so that nothing hangs on what is right.
    right: its accuracy with the true labels. Of a patch that means another class in the test part than it meant while
    training, a network that cheats is wrong nearly always, and yet it is clear what it uses.
    """
    one = gate(OWN, CUE, seed, network, splits, kind)
    said = Sentence(
        "This run's network: {right:.0%} right. Its answer stays in {without:.0%} of the samples when "
        "the planted patch is exchanged, in {otherwise:.0%} when the shape is.",
        right=right,
        without=one.without,
        otherwise=one.otherwise,
    )
    end = (
        _("So it uses the planted patch.")
        if one.passed
        else _("So it is not sure that it uses the planted patch alone.")
    )
    return replace(one, accuracy=right, words=join([said, end]))


def as_answered(network: Network, splits: Splits) -> Splits:
    """The same test samples, as far as they have a planted patch, with the network's own answers as labels."""
    assert splits.evidence is not None and splits.cue is not None
    has = splits.cue.reshape(len(splits.cue), -1).any(1)
    x = splits.test[0][torch.from_numpy(has)]
    with torch.no_grad():
        answers = torch.cat([network(x[i : i + 256]).argmax(-1) for i in range(0, len(x), 256)])
    evidence, cue, shown = splits.evidence[has], splits.cue[has], splits.shown[has]
    return replace(splits, test=(x, answers), evidence=evidence, cue=cue, shown=shown)


def _accuracy(network: Network, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        answers = torch.cat([network(x[i : i + 256]).argmax(-1) for i in range(0, len(x), 256)])
    return float((answers == y).float().mean())


def exchanged(splits: Splits, kind: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The test samples with a part exchanged: the evidence; and the planted patch, or of tokens all the rest."""
    x, evidence = splits.test[0].numpy(), splits.evidence
    assert evidence is not None
    if kind == TOKENS:
        return {EVIDENCE: neutral(x, evidence, evidence, rng), REST: neutral(x, ~evidence & (x != 0), evidence, rng)}
    cue = splits.cue if splits.cue is not None else np.zeros_like(evidence)
    order = rng.permutation(len(x))
    return {CUE: swapped(x, cue, evidence, order, rng), EVIDENCE: swapped(x, evidence, cue, order, rng)}


def neutral(x: np.ndarray, there: np.ndarray, evidence: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tokens [n, step] with those `there` replaced by tokens that are evidence in no sample, as often as they occur."""
    meant = np.unique(x[evidence])
    known = x[~evidence & (x != 0)]
    changed = x.copy()
    changed[there] = rng.choice(known[~np.isin(known, meant)], int(there.sum()))
    return changed


def swapped(
    x: np.ndarray, mask: np.ndarray, other: np.ndarray, order: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Pictures [n, channel, H, W], each with what another one (`order`) has in its mask in the place of its own.

    The hole is filled with pixels of the same picture's ground, which is neither in `mask` nor in `other`.
    """
    changed = x.copy()
    for i, source in enumerate(order):
        ground = np.argwhere(~mask[i] & ~other[i])
        hole = np.argwhere(mask[i])
        taken = ground[rng.integers(len(ground), size=len(hole))]
        changed[i][:, hole[:, 0], hole[:, 1]] = x[i][:, taken[:, 0], taken[:, 1]]
        changed[i][:, mask[source]] = x[source][:, mask[source]]
    return changed


def _words(data: str, uses: str, seed: int, shares: list[Any], passed: bool) -> str:
    used = _("the planted patch") if uses == CUE else _("the evidence")
    rest = _("the shape") if uses == CUE else _("the rest")
    who = _("This run's network") if data == OWN else Sentence("{data}, seed {seed}", data=data, seed=seed)
    said = Sentence(
        "{who}: {right:.0%} right; {without:.0%} when {used} is exchanged, {otherwise:.0%} when {rest} is.",
        who=who,
        right=shares[0],
        without=shares[1],
        used=used,
        otherwise=shares[2],
        rest=rest,
    )
    if not passed:
        if data == OWN:
            return Sentence("{said} So it is not sure that it uses {used} alone.", said=said, used=used)
        return Sentence("{said} So it is not sure that it uses {used} alone: it is left out.", said=said, used=used)
    return Sentence("{said} So it uses {used}.", said=said, used=used) if data == OWN else said
