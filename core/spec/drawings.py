"""A picture drawn by hand as a short text that fits into a link: 28×28 pixels of 16 levels, packed."""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np

from core.spec.sentences import Sentence, _

SIDE, LEVELS = 28, 16
_MOST = 2_000  # characters; a drawing of noise has about 530


class DrawingError(ValueError):
    """A text that is no drawing."""


def encode(picture: np.ndarray) -> str:
    """uint8 [28, 28] → text (URL-safe base64). Levels are rounded to sixteenths."""
    if picture.shape != (SIDE, SIDE) or picture.dtype != np.uint8:
        raise DrawingError(
            Sentence(
                "A drawing has {side}×{side} pixels of 0 to 255, not {dtype} {shape}.",
                side=SIDE,
                dtype=picture.dtype,
                shape=str(picture.shape),
            )
        )
    levels = np.round(picture.astype(np.float32) / 255 * (LEVELS - 1)).astype(np.uint8).ravel()
    packed = (levels[0::2] << 4 | levels[1::2]).tobytes()
    return base64.urlsafe_b64encode(zlib.compress(packed, 9)).rstrip(b"=").decode()


def decode(text: str) -> np.ndarray:
    """The inverse of encode: uint8 [28, 28]. DrawingError where the text is none."""
    try:
        if len(text) > _MOST:
            raise DrawingError
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        packed = np.frombuffer(zlib.decompressobj().decompress(raw, SIDE * SIDE), np.uint8)
        if packed.size != SIDE * SIDE // 2:
            raise DrawingError
    except (ValueError, binascii.Error, zlib.error):
        raise DrawingError(_("The link's drawing cannot be read; draw it again.")) from None
    levels = np.stack([packed >> 4, packed & 15], 1).reshape(SIDE, SIDE)
    return (levels.astype(np.float32) * 255 / (LEVELS - 1)).round().astype(np.uint8)
