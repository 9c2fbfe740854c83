"""Augmentations: from one random state torchvision's own to the bit, on the device where there is one."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from core.spec import registry
from core.spec.specs import Choice
from core.worker.data.splits import Splits
from core.worker.train.augment import augment_of, replace_labels

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
CLASSES = 5
FILL = (-0.25, 0.5, -1.5)  # black in each channel, as the means and standard deviations below make it
SIZES = [(3, 12, 12), (3, 9, 14)]


def splits_of(x: torch.Tensor) -> Splits:
    y = torch.arange(len(x)) % CLASSES
    part = (x, y)
    return Splits(part, part, part, x.numpy(force=True), tuple("abcde"), mean=(0.5, -1.0, 3.0), std=(2.0, 2.0, 2.0))


def ours(name: str, x: torch.Tensor, y: torch.Tensor, **options: object):
    entry = registry.AUGMENTATIONS.get(name)
    augment = augment_of((Choice(name, entry.options(**options)),), splits_of(x), CLASSES)
    assert augment is not None
    torch.manual_seed(11)
    return augment(x, y)


def torchvisions(name: str, x: torch.Tensor, y: torch.Tensor, **options):
    """The same with torchvision's own class: one picture after the other, or the batch for those that mix."""
    height, width = x.shape[-2:]
    kinds = {
        "shift": lambda: v2.RandomCrop((height, width), padding=options["shift_pixels"], fill=list(FILL)),
        "flip": lambda: v2.RandomHorizontalFlip(options["flip_share"]),
        "crop": lambda: v2.RandomResizedCrop((height, width), scale=(options["crop_smallest"], 1.0)),
        "mixup": lambda: v2.MixUp(alpha=options["mixup_alpha"], num_classes=CLASSES),
        "cutmix": lambda: v2.CutMix(alpha=options["cutmix_alpha"], num_classes=CLASSES),
    }
    transform = kinds[name]()
    torch.manual_seed(11)
    if registry.AUGMENTATIONS.get(name).mixes:
        return transform(x, y)
    return torch.stack([transform(picture) for picture in x]), y


EXAMPLES = [
    (e.name, {f: getattr(o, f) for f in o.__dataclass_fields__}) for e in registry.AUGMENTATIONS for o in e.examples
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("name", "options"), EXAMPLES, ids=[f"{n}-{i}" for i, (n, _o) in enumerate(EXAMPLES)])
def test_from_one_random_state_it_is_torchvisions_own(name, options, size, device):
    x = torch.randn(40, *size, generator=torch.Generator().manual_seed(0)).to(device)
    y = (torch.arange(40) % CLASSES).to(device)
    (mine, my_y), (theirs, their_y) = ours(name, x, y, **options), torchvisions(name, x, y, **options)
    assert mine.device.type == device and mine.shape == x.shape and mine.dtype == x.dtype
    if name == "crop":  # another order of the same sums
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    else:
        assert torch.equal(mine, theirs)
    assert torch.equal(my_y, their_y)
    assert name == "cutmix" or not torch.equal(mine, x)  # its box may be empty


def test_the_same_state_is_left_behind_as_torchvision_leaves():
    """What is drawn after an augmentation does not depend on how it is computed."""
    x, y = torch.randn(8, 3, 12, 12), torch.arange(8) % CLASSES
    for name, options in EXAMPLES:
        ours(name, x, y, **options)
        after = torch.rand(1)
        torchvisions(name, x, y, **options)
        assert torch.equal(after, torch.rand(1)), name


def test_pictures_are_varied_each_for_itself_and_the_data_stays_as_it_is():
    x = torch.randn(1, 3, 12, 12).repeat(30, 1, 1, 1)
    before = x.clone()
    for name, options in EXAMPLES:
        made, _y = ours(name, x, torch.zeros(30, dtype=torch.long), **options)
        assert torch.equal(x, before), f"{name} changed the data"
        if not registry.AUGMENTATIONS.get(name).mixes:
            assert not all(torch.equal(made[0], one) for one in made[1:]), f"{name} is the same for all"


def test_several_are_done_one_after_the_other_and_labels_become_shares():
    x, y = torch.randn(16, 3, 12, 12), torch.arange(16) % CLASSES
    names = ("shift", "flip", "crop", "mixup")
    chosen = tuple(Choice(name, registry.AUGMENTATIONS.get(name).options()) for name in names)
    augment = augment_of(chosen, splits_of(x), CLASSES)
    assert augment is not None
    torch.manual_seed(1)
    made, shares = augment(x, y)
    torch.manual_seed(1)
    step, target = x, y
    for choice in chosen:
        one = augment_of((choice,), splits_of(x), CLASSES)
        assert one is not None
        step, target = one(step, target)
    assert torch.equal(made, step) and torch.equal(shares, target)
    torch.testing.assert_close(shares.sum(1), torch.ones(16))
    assert augment_of((), splits_of(x), CLASSES) is None


@pytest.mark.parametrize("share", [0.0, 0.123, 0.5, 1.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_exactly_the_share_of_labels_is_wrong_afterwards(share, classes):
    y = torch.arange(1000) % classes
    noisy = replace_labels(y, classes, share, seed=3)
    assert int((noisy != y).sum()) == round(share * 1000)
    assert int(noisy.min()) >= 0 and int(noisy.max()) < classes
    assert torch.equal(noisy, replace_labels(y, classes, share, seed=3))
    if share == 1.0 and classes == 10:
        assert torch.bincount(noisy, minlength=10).min() > 60, "every other class comes up"
        assert not torch.equal(noisy, replace_labels(y, classes, share, seed=4))
