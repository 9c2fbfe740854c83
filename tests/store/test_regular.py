"""Only plain files are read: what may be waited for without end is told in words, at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.spec.specs import preset
from core.store import Store, StoreError, read_named_json
from core.store.regular import open_regular, read_regular
from core.store.texts import outside_the_data, text_file
from tests.worker.data.files import KINDS, placed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices with names")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_file_is_named_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    with placed(kind, tmp_path) as path:
        for read in (open_regular, read_regular):
            with pytest.raises(OSError, match=kind.removesuffix(" behind a link")):
                read(path)
        with pytest.raises(StoreError, match=f"cannot be opened: it is {kind.removesuffix(' behind a link')}"):
            read_named_json(path)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    assert read_regular(tmp_path / "ten", 10) == read_regular(tmp_path / "ten") == b"0123456789"
    with pytest.raises(OSError, match="more than 9 bytes"):
        read_regular(tmp_path / "ten", 9)
    with (tmp_path / "holes").open("wb") as file:  # takes no room on the disk
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        read_regular(tmp_path / "holes", 1000)


# ── which text is meant, and who may have it read ────────────────────────────


@pytest.fixture
def data(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, beside it a secret text, and links between them."""
    folder = home / "elsewhere" / "data"
    folder.mkdir(parents=True)
    monkeypatch.setenv("LAYERLAB_DATA", str(folder))
    (home / "secret.txt").write_text("a secret")
    (folder / "mine.txt").write_text("mine")
    (folder / "out.txt").symlink_to(home / "secret.txt")
    (folder / "again.txt").symlink_to(folder / "mine.txt")
    (home / "data").mkdir()
    (home / "data" / "second.txt").write_text("in the other data folder")
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "{home}/secret.txt",
        "../../secret.txt",
        "out.txt",
        "/etc/hostname.txt",
        "{home}/there/is/none.txt",
        "/",
        "mine.txt/../../../secret.txt",
        "{home}/elsewhere/data2/x.txt",
        "\0",
    ],
    ids=lambda path: repr(path[:30]),
)
def test_a_visitor_gets_nothing_from_outside_of_the_data_folders(path: str, data: Path, home: Path) -> None:
    told = outside_the_data(path.format(home=home))
    assert "outside of the data folder" in told and "put the file there" in told and len(told) < 400


@pytest.mark.parametrize(
    "path",
    [
        "mine.txt",
        "again.txt",
        "none.txt",
        "./mine.txt",
        "{home}/data/second.txt",
        "{home}/elsewhere/data/mine.txt",
    ],
    ids=lambda path: path[-12:],
)
def test_what_lies_in_a_data_folder_is_everybodys(path: str, data: Path, home: Path) -> None:
    assert outside_the_data(path.format(home=home)) == ""


def test_the_person_at_the_command_line_may_read_any_text(data: Path, home: Path) -> None:
    assert text_file(str(home / "secret.txt"), data) == home / "secret.txt"
    assert text_file("mine.txt", data) == data / "mine.txt"
    with pytest.raises(StoreError, match=r"text file .*none.txt"):
        text_file("none.txt", data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_that_is_a_pipe_is_told(kind: str, store: Store, tmp_path: Path) -> None:
    run = store.create(preset("mlp", "digits"))
    with placed(kind, tmp_path) as path:
        (run.path / "checkpoint.safetensors").symlink_to(path)
        with pytest.raises(StoreError, match="cannot be resumed"):
            run.load_checkpoint()


def test_a_small_file_takes_no_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    """`most` is a limit and no size: memory for a terabyte is to be had nowhere."""
    file = tmp_path / "small.bin"
    file.write_bytes(b"abc")
    assert read_regular(file) == b"abc" == read_regular(file, 3)
    with pytest.raises(OSError, match="more than 2 bytes"):
        read_regular(file, 2)
