"""The kept scoreboards: whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.spec.questions import Gate, Hanging, Measured, Scored, ScoreRow
from core.store import StoreError
from core.store.scores import keep_scores, kept_scores, making_scores, scores_stamp

ONE = Measured(0.5, 0.125)
ROW = ScoreRow("shapes", "random", True, 5, 80, ONE, ONE, ONE, None, ONE, None, ONE, ONE, 0.2, 0.01)
SCORED = Scored(
    False,
    5,
    61.5,
    1e9,
    (ROW,),
    (Gate("shapes", 0, "evidence", 1.0, 0.25, 0.99, True, "It does."),),
    (("planted", "edge_filter", "For pictures."),),
    ("occlusion",),
    (),
    ("A sentence.",),
    "data,seed\nshapes,0\n",
    {"shapes/shown": np.arange(6, dtype=np.uint8).reshape(2, 3), "shapes/cue": np.eye(2, dtype=bool)},
    {"shapes/class": "ring"},
    (Hanging("shapes", "cue", ONE, 5),),
    ("lime",),
)


def test_what_is_kept_is_read_again_to_the_bit(home: Path) -> None:
    assert kept_scores() == {} and scores_stamp() == (0.0, 0.0)
    keep_scores(SCORED)
    quick = replace(SCORED, quick=True, seeds=2)
    keep_scores(quick)
    found = kept_scores()
    assert list(found) == ["full", "quick"] and found["quick"].seeds == 2
    assert replace(found["full"], arrays={}) == replace(SCORED, arrays={})
    for name, array in SCORED.arrays.items():
        assert np.array_equal(found["full"].arrays[name], array) and found["full"].arrays[name].dtype == array.dtype
    assert all(stamp > 0 for stamp in scores_stamp())


def test_a_broken_file_is_as_if_it_were_not_there(home: Path) -> None:
    keep_scores(SCORED)
    (home / "scores" / "full.npz").write_bytes(b"PK nothing")
    assert kept_scores() == {}
    np.savez(home / "scores" / "full.npz", about=np.frombuffer(b'{"format": 99}', np.uint8))
    assert kept_scores() == {}
    keep_scores(SCORED)
    assert list(kept_scores()) == ["full"] and not list((home / "scores").glob("*.writing"))


def test_a_file_with_a_bit_turned_over_is_not_shown_as_something_else(home: Path) -> None:
    """Each member of a .npz carries a checksum; what lies between them (names, dates) may change without harm."""
    keep_scores(SCORED)
    file = home / "scores" / "full.npz"
    data = file.read_bytes()
    for place in range(0, len(data), 3):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        found = kept_scores().get("full")
        if found is not None:
            assert replace(found, arrays={}) == replace(SCORED, arrays={}), place
            for name, array in SCORED.arrays.items():
                assert np.array_equal(found.arrays[name], array), place


def test_two_do_not_make_one_at_a_time(home: Path) -> None:
    with making_scores(), pytest.raises(StoreError, match="Somebody else"), making_scores():
        pass
    with making_scores():
        keep_scores(SCORED)
    assert list(kept_scores()) == ["full"]
