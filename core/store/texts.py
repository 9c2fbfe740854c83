"""Which file a learner means by the path of a text, and whether a visitor of a shared server may have it read."""

from __future__ import annotations

from pathlib import Path

from core.spec.quoting import quoted, shown
from core.spec.sentences import Sentence, _
from core.store.files import StoreError, data_home, layerlab_home


def text_file(path: str, folder: Path) -> Path:
    """The file that `path` names: in the data folder, else from where LayerLab was started; there only *.txt.

    StoreError in one sentence. It is not opened here: what is no plain file is told where it is read.
    """
    inside, outside = folder / path, Path(path)
    try:
        at_home = inside.resolve().is_relative_to(folder.resolve())
        for place in (inside, outside):
            if (place.suffix == ".txt" or (place is inside and at_home)) and place.exists():
                return place
    except (OSError, ValueError, RuntimeError):  # a name that no file can have
        pass
    where = Sentence(
        "{absolute}, nor is it a .txt file seen from {cwd}",
        absolute=quoted(folder.absolute(), 200),
        cwd=quoted(Path.cwd(), 200),
    )
    mend = _("Put it into that folder, or leave the path empty.")
    raise StoreError(
        Sentence("The text file {path} is not in {where}. {mend}", path=shown(path), where=where, mend=mend)
    )


def outside_the_data(path: str) -> str:
    """Why a visitor may not have this file read; "" for one within the data folders, whether it is there or not.

    Links are followed first: one that leads out of a data folder leads out. What is outside is told alike whether it
    is there or not, or visitors could ask which files there are.
    """
    folders = [data_home(), layerlab_home() / "data"]
    try:
        where = (folders[0] / path).resolve()
        if any(where.is_relative_to(folder.resolve()) for folder in folders):
            return ""
    except (OSError, ValueError, RuntimeError):  # a name that no file can have: nobody may read that, either
        pass
    return Sentence(
        "The text file {path} is outside of the data folder. Visitors of this server can use what lies "
        "in the data folder; ask the person who runs it to put the file there, or leave the path empty.",
        path=shown(path),
    )
