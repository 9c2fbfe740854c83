"""The heavy half of EMNIST (Cohen, Afshar, Tapson & van Schaik 2017): letters and digits, turned upright.

The files hold every picture with rows and columns changed over, and torchvision gives them so; here they stand as
people write. All splits come in one zip of 562 MB, of which only the chosen one is unpacked.
"""

from __future__ import annotations

import gzip
import shutil
import zipfile
from pathlib import Path
from typing import Any

from torchvision.datasets import EMNIST

from core.spec.sentences import Sentence, _
from core.worker.data.download import fetched, here
from core.worker.data.idx import IdxSet, load_idx
from core.worker.data.splits import DataError, Report, Splits

COUNTS = {"digits": (240_000, 40_000), "letters": (124_800, 20_800), "balanced": (112_800, 18_800)}


def load(options: Any, seed: int, folder: Path, report: Report) -> Splits:
    """Up to options.samples training pictures, 5,000 for validation, the official test pictures of the split."""
    return load_idx(idx_set(options.split), options.samples, seed, folder, report)


def idx_set(split: str) -> IdxSet:
    """The four files of one split."""
    train, test = (
        (f"emnist-{split}-{part}-images-idx3-ubyte", f"emnist-{split}-{part}-labels-idx1-ubyte")
        for part in ("train", "test")
    )

    def fetch(raw: Path, report: Report) -> None:
        title = _("downloading EMNIST (562 MB)")
        with fetched([EMNIST.url], EMNIST.md5, raw, lambda share: report(share, title)) as packed:
            _unpack(packed, [name for name in (*train, *test) if not here(raw / name)], raw)

    named = EMNIST.classes_split_dict[split]
    letters = split == "letters"  # numbered from 1, with a name for the 0 that never comes
    return IdxSet(
        Sentence("EMNIST ({split})", split=split),
        "EMNIST/raw",
        train,
        test,
        COUNTS[split],
        tuple(named[1:] if letters else named),
        fetch,
        first_label=int(letters),
        transposed=True,
    )


def _unpack(archive: Path, names: list[str], raw: Path) -> None:
    with zipfile.ZipFile(archive) as held:
        for name in names:
            unpacked = archive.with_name(name)
            try:
                with held.open(f"gzip/{name}.gz") as packed, gzip.open(packed) as source, unpacked.open("wb") as file:
                    shutil.copyfileobj(source, file)
            except KeyError:
                raise DataError(
                    Sentence("EMNIST's archive has no gzip/{name}.gz. Try again later.", name=name)
                ) from None
            unpacked.replace(raw / name)
