"""A drawing as a short text: there and back, and what is none."""

from __future__ import annotations

import base64
import string
import zlib

import numpy as np
import pytest

from core.spec.drawings import LEVELS, SIDE, DrawingError, decode, encode


def packed(size: int, value: int = 0) -> str:
    """A text of the right making around so many bytes."""
    return base64.urlsafe_b64encode(zlib.compress(bytes([value]) * size)).rstrip(b"=").decode()


@pytest.mark.parametrize("seed", range(5))
def test_there_and_back_loses_no_more_than_half_a_level(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    back = decode(encode(picture))
    assert back.shape == picture.shape
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - picture.astype(int)).max() <= 255 / (LEVELS - 1) / 2 + 0.5
    assert encode(back) == encode(picture)
    np.testing.assert_array_equal(decode(encode(back)), back)


def test_the_text_fits_into_a_link() -> None:
    noise = encode(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE)).astype(np.uint8))
    assert len(noise) < 600
    assert set(noise) <= set(string.ascii_letters + string.digits + "-_")
    assert len(encode(np.zeros((SIDE, SIDE), np.uint8))) < 40


def test_the_first_pixel_is_the_upper_half_of_the_first_byte() -> None:
    """What the browser packs must be unpacked in the same order."""
    levels = np.zeros(SIDE * SIDE, np.uint8)
    levels[[0, 1, SIDE]] = 15, 3, 7
    text = encode((levels * 17).reshape(SIDE, SIDE))
    raw = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert raw[0] == 0xF3
    assert raw[SIDE // 2] == 0x70


@pytest.mark.parametrize("level", [-1, 1, 6, 9])
def test_any_zlib_stream_of_the_same_bytes_is_read(level: int) -> None:
    """A browser's compressor writes other bytes than ours."""
    raw = bytes(range(256)) + bytes(SIDE * SIDE // 2 - 256)
    text = base64.urlsafe_b64encode(zlib.compress(raw, level)).decode()
    np.testing.assert_array_equal(decode(text), decode(text.rstrip("=")))
    assert decode(text)[0, 3] == 17


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "é",
        "not a drawing",
        "====",
        "A" * 1999,
        "A" * 100_000,
        packed(391),
        packed(393),
        packed(10_000_000),
        packed(392)[:-8],
        "\x00",
        "../../x",
        packed(392).replace(packed(392)[4], "%"),
    ],
)
def test_what_is_no_drawing_is_refused_in_words(text: str) -> None:
    with pytest.raises(DrawingError, match="draw it again"):
        decode(text)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((27, 28), np.uint8), np.zeros((28, 28)), np.zeros((1, 28, 28), np.uint8), np.zeros(0, np.uint8)],
)
def test_only_bytes_of_the_right_size_are_packed(picture: np.ndarray) -> None:
    with pytest.raises(DrawingError, match="28×28"):
        encode(picture)
