"""Sets that come in files: read from the folder, downloaded, or refused in one sentence that names the file."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import pickle
import resource
import tarfile
import threading
import zipfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, EMNIST, KMNIST, MNIST, FashionMNIST

from core.spec import registry
from core.spec.questions import Sound
from core.spec.specs import DataSpec
from core.worker.data import cifar10, emnist
from core.worker.data.download import Unreachable, fetched
from core.worker.data.idx import IdxSet, load_idx, read_idx
from core.worker.data.preview import fault
from core.worker.data.splits import DataError
from tests.worker.data.files import KINDS, idx_bytes, placed, write_batches, write_idx_set

QUIET = lambda _fraction, _words: None  # noqa: E731
LIKE_MNIST = {"mnist": MNIST, "fashion_mnist": FashionMNIST, "kmnist": KMNIST}


def load(name, folder, report=QUIET, **options):
    """A set by its name, as the trainer loads it."""
    entry = registry.DATASETS.get(name)
    return registry.load(entry.load)(entry.options(**options), 0, folder, report)


def sizes(splits):
    return [len(p[0]) for p in (splits.train, splits.validation, splits.test)]


def no_fetch(_raw, _report):
    raise Unreachable("no network")


def small_set(**more) -> IdxSet:
    """A set of 6,000 + 100 pictures in two classes."""
    names = [(f"{part}-images", f"{part}-labels") for part in ("train", "test")]
    return IdxSet("Small", "small/raw", *names, (6000, 100), ("a", "b"), no_fetch, **more)


# ── the sets that are on this machine ────────────────────────────────────────


@pytest.mark.parametrize(("name", "first"), [("mnist", [7, 2, 1, 0, 4]), ("fashion_mnist", [9, 2, 1, 1, 6])])
def test_the_real_files_are_read_from_a_folder(name, first, data_dir):
    if data_dir is None:
        return  # files of the same format are read below
    splits = load(name, data_dir, samples=1000)
    assert sizes(splits) == [1000, 5000, 10_000]
    assert splits.test[1][:5].tolist() == first  # the first labels of the official test set
    assert splits.shown.shape == (10_000, 28, 28)


def test_the_cifar_subset_is_read_when_the_full_set_is_absent_and_the_notes_say_so(data_dir):
    if data_dir is None:
        return  # a made-up subset is read below
    splits = load("cifar10", data_dir)
    assert sizes(splits) == [9000, 1000, 2000] and "subset" in splits.notes[0]
    for _x, y in (splits.train, splits.validation, splits.test):
        count = np.bincount(y.numpy())
        assert len(count) == 10 and count.min() == count.max()
    assert splits.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.01)  # of the full training set, per channel
    assert splits.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.01)
    back = splits.test[0][7] * torch.tensor(splits.std)[:, None, None] + torch.tensor(splits.mean)[:, None, None]
    np.testing.assert_allclose(255 * back.permute(1, 2, 0), splits.shown[7], atol=0.01)


# ── IDX ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("zipped", [False, True])
def test_four_files_are_read_as_they_are_or_gzipped(tmp_path, zipped):
    known = small_set()
    write_idx_set(tmp_path / known.folder, known, zipped=zipped)
    splits = load_idx(known, 700, 0, tmp_path, QUIET)
    assert sizes(splits) == [700, 5000, 100]
    assert splits.test[1][:4].tolist() == [0, 1, 0, 1]


def test_emnist_stands_upright(tmp_path):
    known = small_set(transposed=True, first_label=1)
    folder = tmp_path / known.folder
    write_idx_set(folder, known, zipped=False)
    upright = np.zeros((100, 28, 28), np.uint8)
    upright[:, 5, :] = 200  # a line across, in row 5 …
    (folder / "test-images").write_bytes(idx_bytes(upright.transpose(0, 2, 1)))  # … stands in the file as a column
    splits = load_idx(known, 500, 0, tmp_path, QUIET)
    assert np.array_equal(splits.shown, upright)
    assert splits.test[0][0, 0, 5].std() < 1e-6 and splits.test[0][0, 0, :, 5].std() > 0
    assert splits.test[1][:4].tolist() == [0, 1, 0, 1], "labels that begin at 1 are moved"
    for split, classes in (("digits", 10), ("letters", 26), ("balanced", 47)):
        made = emnist.idx_set(split)
        assert made.transposed and len(made.classes) == classes
        assert made.train[0] == f"emnist-{split}-train-images-idx3-ubyte"
        entry = registry.DATASETS.get("emnist")
        assert entry.form(entry.options(split=split)).classes == classes
    assert emnist.idx_set("letters").classes[0] == "a" and emnist.idx_set("letters").first_label == 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("truncated", "not whole: expected 100 values, found 42"),
        ("empty", "found nothing in 0 bytes"),
        ("other shape", "holds 7, expected 100"),
        ("other kind", "no IDX file.*found 3c 68 74 6d"),
        ("other labels", r"labels 0 … 9, expected 0 … 1"),
        ("pictures", "begin with 00 00 08 01, found 00 00 08 03"),
        ("torn gzip", "cannot be read"),
    ],
)
def test_a_broken_file_is_named_with_what_was_expected_and_found(tmp_path, damage, words):
    known = small_set()
    write_idx_set(tmp_path / known.folder, known, zipped=False)
    path = tmp_path / known.folder / "test-labels"
    data = path.read_bytes()
    broken = {
        "truncated": data[:50],
        "empty": b"",
        "other shape": idx_bytes(np.zeros(7)),
        "other kind": b"<html>" * 50,
        "other labels": idx_bytes(np.arange(100) % 10),
        "pictures": idx_bytes(np.zeros((100, 2, 2))),
    }.get(damage)
    if broken is None:
        path.unlink()
        path = path.with_name("test-labels.gz")
        broken = b"\x1f\x8b\x08\x00" + bytes(30)
    path.write_bytes(broken)
    with pytest.raises(DataError, match=words) as caught:
        load_idx(known, 500, 0, tmp_path, QUIET)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path):
    (tmp_path / "huge").write_bytes(bytes((0, 0, 8, 3)) + b"\xff" * 12 + b"x")
    with pytest.raises(DataError, match="4,294,967,295"):
        read_idx(tmp_path / "huge", (10, 28, 28))


def resident() -> int:
    """The most bytes that this process has had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.mark.parametrize("start", [bytes((0, 0, 8, 1, 0, 0, 0, 100)), b"<html>"], ids=["a header", "no header"])
def test_a_small_file_that_unfolds_into_gigabytes_is_given_up_at_the_first_byte_too_many(tmp_path, start):
    with gzip.open(tmp_path / "labels.gz", "wb", compresslevel=1) as file:
        file.write(start)
        for _mebibyte in range(300):
            file.write(bytes(1 << 20))
    assert (tmp_path / "labels.gz").stat().st_size < 2 << 20
    before = resident()
    with pytest.raises(DataError, match=r"too long: expected 100 values|no IDX file"):
        read_idx(tmp_path / "labels", (100,))
    assert resident() - before < 50 << 20


# ── what is no plain file ────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mnist", "cifar10", "characters"])
def test_a_pipe_in_a_files_place_is_told_and_not_waited_for(tmp_path, kind, name, monkeypatch):
    with placed(kind, tmp_path) as path:
        if name == "mnist":
            known = small_set()
            write_idx_set(tmp_path / known.folder, known, zipped=False)
            (tmp_path / known.folder / "train-images").unlink()
            (tmp_path / known.folder / "train-images").symlink_to(path)
            read = partial(load_idx, known, 500, 0, tmp_path, QUIET)
        elif name == "cifar10":
            write_batches(tmp_path / "cifar-10-batches-py", (*cifar10.TRAIN, *cifar10.TEST), 20)
            (tmp_path / "cifar-10-batches-py" / "data_batch_1").unlink()
            (tmp_path / "cifar-10-batches-py" / "data_batch_1").symlink_to(path)
            read = partial(load, "cifar10", tmp_path)
        else:
            read = partial(load, "characters", tmp_path, path=path.name)
        with pytest.raises(DataError, match=f"cannot be read.*it is {kind.removesuffix(' behind a link')}, not a file"):
            read()


# ── CIFAR-10 ─────────────────────────────────────────────────────────────────


def test_the_full_set_is_preferred_and_a_subset_is_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "BATCH", 20)
    write_batches(tmp_path / "cifar-10-subset-py", ("data_batch_1", "test_batch"), 30)
    splits = load("cifar10", tmp_path)
    assert sizes(splits) == [30, 0, 30]
    assert "30 training and 30 test" in splits.notes[0] and str(tmp_path) in splits.notes[0]
    write_batches(tmp_path / "cifar-10-batches-py", (*cifar10.TRAIN, *cifar10.TEST), 20)
    splits = load("cifar10", tmp_path)
    assert sizes(splits) == [90, 10, 20] and not splits.notes
    assert splits.shown.shape == (20, 32, 32, 3) and splits.classes[0] == "airplane"


def test_pictures_have_their_colours_in_the_right_order(tmp_path):
    data = np.zeros((10, 3, 32, 32), np.uint8)
    data[:, 0, 3, :] = 200  # a red line across, in row 3
    (tmp_path / "one").write_bytes(pickle.dumps({"data": data.reshape(10, -1), "labels": list(range(10))}))
    x, y = cifar10.read_batch(tmp_path / "one")
    assert (x[:, 3, :, 0] == 200).all() and x.sum() == 10 * 32 * 200 and y.tolist() == list(range(10))


class Harm:
    """What a hostile batch might hold."""

    def __reduce__(self):
        return (print, ("harm done",))


ONE_LIST = [0] * 3072  # named many times over in a pickle it takes two bytes each time


class Hollow:
    """An array of 30 GB of which the pickle says the shape alone."""

    def __reduce__(self):
        return np.ndarray, ((10_000_000, 3072), np.dtype(np.uint8))


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"data": np.zeros((20, 100), np.uint8), "labels": [0] * 20}, "expected 20 pictures of 3,072 bytes.*20×100"),
        ({"data": np.zeros((3, 3072), np.uint8), "labels": [0] * 3}, "expected 20 pictures.*3×3072"),
        ({"data": np.zeros((20, 3072), np.uint8), "labels": [0] * 19}, "labels 19"),
        ({"data": np.zeros((20, 3072), np.uint8), "labels": [77] * 20}, "expected 0 … 9, found 77"),
        (
            {"data": np.zeros((20, 3072), np.uint8), "labels": ["cat"] * 20},
            "expected whole numbers 0 … 9, found .*'cat'",
        ),
        ({"data": np.zeros((20, 3072), np.float32), "labels": [0] * 20}, "float32"),
        ({"data": [ONE_LIST] * 200_000, "labels": [0] * 20}, "list of pictures"),
        ({"data": np.zeros((20, 3072), np.uint8), "labels": [ONE_LIST] * 200_000}, "list of labels"),
        ({"data": Hollow(), "labels": [0] * 20}, "an array of .* bytes in a file of|Unable to allocate"),
        ({"pixels": 1}, "KeyError"),
        ([1, 2], "TypeError"),
        (Harm(), "builtins.print"),
        (b"torn", "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_batch_is_named_and_runs_nothing(tmp_path, monkeypatch, capsys, held, words):
    monkeypatch.setattr(cifar10, "BATCH", 20)
    write_batches(tmp_path / "cifar-10-batches-py", (*cifar10.TRAIN, *cifar10.TEST), 20)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if held == b"torn" else pickle.dumps(held))
    with pytest.raises(DataError, match=words) as caught:
        load("cifar10", tmp_path)
    assert str(path) in str(caught.value) and "Put a whole file" in str(caught.value)
    assert "harm" not in capsys.readouterr().out


# ── downloads ────────────────────────────────────────────────────────────────


@pytest.fixture
def mirror(tmp_path):
    """A server on this machine: the folder that it serves, its address, and an empty data folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    (tmp_path / "served").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "served")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    yield SimpleNamespace(served=tmp_path / "served", url=url, data=tmp_path / "data")
    server.shutdown()
    server.server_close()


@pytest.fixture
def kuzushiji(mirror, monkeypatch):
    """The mirror with a whole set in MNIST's format, which torchvision has been told to use for KMNIST."""
    names = [(f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")]
    known = IdxSet("KMNIST", "", *names, (60_000, 10_000), tuple("0123456789"), no_fetch)
    monkeypatch.setattr(KMNIST, "resources", write_idx_set(mirror.served / "set", known))
    monkeypatch.setattr(KMNIST, "mirrors", ["http://127.0.0.1:9/", f"{mirror.url}set/"])
    return mirror


def test_a_set_is_downloaded_with_progress_and_checked(kuzushiji):
    said = []
    splits = load("kmnist", kuzushiji.data, lambda f, w: said.append((f, w)), samples=500)
    assert sizes(splits) == [500, 5000, 10_000]
    assert said[0][0] <= said[-1][0] == 1.0 and "downloading KMNIST" in said[0][1]
    there = sorted(p.name for p in (kuzushiji.data / "KMNIST/raw").iterdir())
    assert there == sorted(n.removesuffix(".gz") for n, _md5 in KMNIST.resources)
    said.clear()
    load("kmnist", kuzushiji.data, lambda f, w: said.append((f, w)), samples=500)
    assert not said, "what is there is not downloaded again"


def test_a_download_with_the_wrong_content_is_refused_and_leaves_nothing(kuzushiji, monkeypatch):
    monkeypatch.setattr(KMNIST, "resources", [(n, "0" * 32) for n, _md5 in KMNIST.resources])
    with pytest.raises(DataError, match="checksum"):
        load("kmnist", kuzushiji.data)
    assert not kuzushiji.data.exists()


def test_a_stopped_download_leaves_nothing(kuzushiji):
    def stop(_fraction, _words):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load("kmnist", kuzushiji.data, stop)
    assert not kuzushiji.data.exists()


def test_cifar10_is_unpacked_from_its_archive(mirror, monkeypatch):
    write_batches(mirror.served / "cifar-10-batches-py", (*cifar10.TRAIN, *cifar10.TEST, cifar10.META), 20)
    monkeypatch.setattr(cifar10, "BATCH", 20)
    archive = mirror.served / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as held:
        held.add(mirror.served / "cifar-10-batches-py", "cifar-10-batches-py")
        info = tarfile.TarInfo("../outside")
        info.size = 4
        held.addfile(info, io.BytesIO(b"evil"))
    monkeypatch.setattr(CIFAR10, "url", f"{mirror.url}cifar.tar.gz")
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5_of(archive))
    assert sizes(load("cifar10", mirror.data)) == [90, 10, 20]
    there = sorted(p.name for p in (mirror.data / "cifar-10-batches-py").iterdir())
    assert there == sorted((*cifar10.TRAIN, *cifar10.TEST, cifar10.META))
    assert not (mirror.data / "outside").exists()


def test_emnist_unpacks_only_the_chosen_split(mirror, monkeypatch):
    monkeypatch.setattr(emnist, "COUNTS", {"digits": (5100, 50)})
    known = emnist.idx_set("digits")
    write_idx_set(mirror.served / "gzip", known)
    with zipfile.ZipFile(mirror.served / "gzip.zip", "w") as held:
        for path in (mirror.served / "gzip").iterdir():
            held.write(path, f"gzip/{path.name}")
        held.writestr("gzip/emnist-letters-train-images-idx3-ubyte.gz", b"not asked for")
    monkeypatch.setattr(EMNIST, "url", f"{mirror.url}gzip.zip")
    monkeypatch.setattr(EMNIST, "md5", md5_of(mirror.served / "gzip.zip"))
    splits = load("emnist", mirror.data, split="digits")
    assert sizes(splits) == [100, 5000, 50]
    assert len(list((mirror.data / "EMNIST/raw").iterdir())) == 4


def md5_of(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "folder", "put"),
    [
        ("mnist", "MNIST/raw", "train-images-idx3-ubyte"),
        ("fashion_mnist", "FashionMNIST/raw", "t10k-labels-idx1-ubyte"),
        ("kmnist", "KMNIST/raw", "t10k-images-idx3-ubyte"),
        ("emnist", "EMNIST/raw", "emnist-letters-test-labels-idx1"),
        ("cifar10", "cifar-10-batches-py", "data_batch_5"),
    ],
)
def test_without_files_and_network_one_sentence_names_the_folder_and_what_to_put_there(
    name, folder, put, tmp_path, monkeypatch
):
    nowhere = "http://127.0.0.1:9/"
    for source in LIKE_MNIST.values():
        monkeypatch.setattr(source, "mirrors", [nowhere])
    for source in (EMNIST, CIFAR10):
        monkeypatch.setattr(source, "url", nowhere)
    with pytest.raises(DataError) as caught:
        load(name, tmp_path / "data")
    text = str(caught.value)
    assert str(tmp_path / "data" / folder) in text and put in text and "LAYERLAB_DATA" in text
    assert "\n" not in text and text.count(". ") == 0 and text.endswith(".")
    assert not (tmp_path / "data").exists(), "no empty folders stay behind"


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unreachable, match="cannot be written to"), fetched([], "", tmp_path / "file" / "raw", print):
        pass


# ── before a run ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [entry.name for entry in registry.DATASETS if entry.files])
def test_files_that_are_not_here_are_no_fault_and_are_not_asked_for(name, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_a, **_k: pytest.fail("a look must not download"))
    assert fault(Sound(DataSpec(name, registry.DATASETS.get(name).options()), str(tmp_path))) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_cut_off_is_a_fault_in_the_sentence_of_the_trainer(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        (raw / name).write_bytes(b"\0\0\x08\x03")
    with pytest.raises(DataError) as told:
        load("mnist", tmp_path)
    assert fault(Sound(DataSpec("mnist", registry.DATASETS.get("mnist").options()), str(tmp_path))) == str(told.value)
    assert "train-images-idx3-ubyte" in str(told.value)
