"""Data sets: splits that do not overlap, shapes as announced, labels that mean what they say."""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import MNIST

from core import registry
from core.catalog.datasets.order import SPECIAL, Order
from core.data import mnist
from core.data.splits import DataError, split_by_class
from core.specs import Experiment, assign, preset
from core.training import load_data

QUIET = lambda _fraction, _words: None  # noqa: E731
EMBEDDED = ("digits", "order")


def of(name: str, **options: object) -> Experiment:
    """An experiment on this data set; the model does not matter."""
    made = preset("lstm", name)
    return assign(made, {f"data.{k}": v for k, v in options.items()})


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_set_is_as_its_entry_says(name):
    entry = registry.DATASETS.get(name)
    for options in entry.examples:
        made = of(name)
        splits = load_data(replace(made, data=replace(made.data, options=options)))
        form = entry.form(options)
        for x, y in (splits.train, splits.validation, splits.test):
            assert tuple(x.shape[1:]) == form.shape
            assert len(x) == len(y) > 0
            assert set(y.tolist()) <= set(range(form.classes))
        assert len(splits.shown) == len(splits.test[0])
        assert len(splits.classes) == form.classes


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_set_is_the_same_for_the_same_seed_and_another_for_another(name):
    first, again, other = (load_data(of(name, seed=s)) for s in (3, 3, 4))
    assert torch.equal(first.train[0], again.train[0]) and torch.equal(first.test[1], again.test[1])
    assert not torch.equal(first.test[0], other.test[0])


def test_the_split_is_made_before_the_scale_is_fitted():
    splits = load_data(of("digits"))
    assert abs(float(splits.train[0].mean())) < 1e-5 and abs(float(splits.train[0].std()) - 1) < 1e-3
    assert abs(float(splits.test[0].mean())) > 1e-6  # the test part was scaled by the training part's figures


def test_splits_share_no_sample_and_lose_none():
    labels = np.repeat(np.arange(4), [50, 40, 30, 20])
    parts = split_by_class(labels, (0.1, 0.2), 0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(140))
    for label in range(4):
        assert (labels[parts[1]] == label).sum() == round((labels == label).sum() * 0.1)


def test_the_order_tasks_label_is_which_mark_stands_first():
    splits = load_data(of("order", length=12, noise=3, samples=500))
    for x, y in (splits.train, splits.validation, splits.test):
        first = (x == 1).int().argmax(1)
        second = (x == 2).int().argmax(1)
        assert ((x == 1).sum(1) == 1).all() and ((x == 2).sum(1) == 1).all()
        assert torch.equal((second < first).long(), y)
        real = x != 0
        assert (real.int().diff(dim=1) <= 0).all(), "padding stands only at the end"
        assert (real.sum(1) >= 6).all()
        assert int(x.max()) < SPECIAL + 3
    assert 0.4 < float(splits.train[1].float().mean()) < 0.6
    assert Order().samples == sum(len(p[1]) for p in _parts(load_data(of("order"))))


def _parts(splits):
    return splits.train, splits.validation, splits.test


def test_mnist_is_read_from_a_folder(data_dir):
    if data_dir is None:
        return  # the download test below covers the reader on a machine without the files
    splits = mnist.load(registry.DATASETS.get("mnist").options(samples=1000), 0, data_dir, QUIET)
    assert [len(p[0]) for p in _parts(splits)] == [1000, 5000, 10_000]
    assert splits.test[1][:5].tolist() == [7, 2, 1, 0, 4]  # the first labels of the official test set
    assert splits.shown.shape == (10_000, 28, 28)


def fake_idx(folder: Path) -> list[tuple[str, str]]:
    """Four gzipped files in MNIST's format with the right shapes; their (name, md5)."""
    folder.mkdir()
    made = []
    for part, n in mnist.SIZES.items():
        for kind, shape in (("images-idx3", (n, 28, 28)), ("labels-idx1", (n,))):
            magic = 0x0800 + len(shape)
            header = magic.to_bytes(4, "big") + b"".join(s.to_bytes(4, "big") for s in shape)
            body = np.arange(n, dtype=np.int64).astype(np.uint8) % 10 if len(shape) == 1 else np.zeros(shape, np.uint8)
            data = gzip.compress(header + body.tobytes(), compresslevel=1)
            name = f"{part}-{kind}-ubyte.gz"
            (folder / name).write_bytes(data)
            made.append((name, hashlib.md5(data).hexdigest()))
    return made


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server on this machine that offers MNIST's four files, and torchvision told to use it."""
    resources = fake_idx(tmp_path / "served")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "served")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    yield tmp_path
    server.shutdown()
    server.server_close()


def test_mnist_is_downloaded_with_progress_and_checked(mirror):
    said = []
    options = registry.DATASETS.get("mnist").options(samples=500)
    splits = mnist.load(options, 0, mirror / "data", lambda f, w: said.append((f, w)))
    assert [len(p[0]) for p in _parts(splits)] == [500, 5000, 10_000]
    assert said[0][0] <= said[-1][0] <= 1.0 and "MNIST" in said[0][1]
    assert sorted(p.name for p in (mirror / "data/MNIST/raw").iterdir()) == sorted(
        n.removesuffix(".gz") for n, _ in MNIST.resources
    )


def test_a_download_with_the_wrong_content_is_refused(mirror, monkeypatch):
    monkeypatch.setattr(MNIST, "resources", [(n, "0" * 32) for n, _ in MNIST.resources])
    with pytest.raises(DataError, match="checksum"):
        mnist.load(registry.DATASETS.get("mnist").options(), 0, mirror / "data", QUIET)
    assert not list((mirror / "data/MNIST/raw").iterdir())


def test_without_files_and_network_one_sentence_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError) as caught:
        mnist.load(registry.DATASETS.get("mnist").options(), 0, tmp_path, QUIET)
    text = str(caught.value)
    assert str(tmp_path / "MNIST" / "raw") in text and "train-images-idx3-ubyte" in text and "\n" not in text


@pytest.mark.parametrize("damage", ["truncated", "empty", "other shape"])
def test_a_broken_file_is_named_with_what_was_expected(mirror, damage):
    options = registry.DATASETS.get("mnist").options(samples=500)
    mnist.load(options, 0, mirror / "data", QUIET)
    path = mirror / "data/MNIST/raw/t10k-labels-idx1-ubyte"
    data = path.read_bytes()
    short = (0x0801).to_bytes(4, "big") + (7).to_bytes(4, "big") + bytes(7)
    path.write_bytes({"truncated": data[:5000], "empty": b"", "other shape": short}[damage])
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        mnist.load(options, 0, mirror / "data", QUIET)
