"""Name → entry. A registry finds its entries by itself: every module of one catalog folder is one entry.

Adding a thing is adding a file; nothing else has to be told.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import threading
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from core.spec.quoting import quoted
from core.spec.sentences import Sentence


class CatalogError(ValueError):
    """A name nobody knows, or a name taken twice; the text is a sentence for the person who chose it."""


class Registry:
    """The entries of one catalog folder, read on first use.

    Each module of `package` that does not begin with an underscore holds one module-level `ENTRY`
    with a `name` of its own.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind  # the word used in sentences: "layer", "dataset", …
        self._one = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        self.package = package
        self._entries: dict[str, Any] = {}
        self._read = False
        self._lock = threading.RLock()  # one thread reads the folder while the others wait for all of it

    def add(self, entry: Any) -> None:
        """Add one entry; a name that is taken is refused in words."""
        if entry.name in self._entries:
            raise CatalogError(
                Sentence(
                    "Two {kind} entries are called “{entry}”: {name} was there first. Rename one of the files' "
                    "entries.",
                    kind=self.kind,
                    entry=entry.name,
                    name=type(self._entries[entry.name]).__name__,
                )
            )
        self._entries[entry.name] = entry

    def get(self, name: str) -> Any:
        """The entry called `name`; an unknown name raises CatalogError with the nearest known one."""
        entries = self._all()
        if isinstance(name, str) and name in entries:
            return entries[name]
        if not isinstance(name, str):
            raise CatalogError(
                Sentence("The name of {one} must be a word. Known: {entries}.", one=self._one, entries=sorted(entries))
            )
        near = difflib.get_close_matches(name[:60], entries, n=1)
        hint = Sentence(" Did you mean “{near}”?", near=near[0]) if near else ""
        known = sorted(entries)
        raise CatalogError(
            Sentence(
                "There is no {kind} called “{name}”.{hint} Known: {known}.",
                kind=self.kind,
                name=quoted(name),
                hint=hint,
                known=known,
            )
        )

    def names(self) -> list[str]:
        """Every name, in the order in which the entries want to be offered."""
        return [e.name for e in self]

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(self._all().values(), key=lambda e: (getattr(e, "order", 100), e.name)))

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def _all(self) -> dict[str, Any]:
        with self._lock:
            if not self._read:
                self._read = True  # first, so that an entry may look at its own registry while it is read
                try:
                    self._read_folder()
                except BaseException:  # the next caller sees the same error, not half a catalog
                    self._read, self._entries = False, {}
                    raise
        return self._entries

    def _read_folder(self) -> None:
        folder = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(folder.__path__):
            if not module.name.startswith("_"):
                self.add(importlib.import_module(f"{self.package}.{module.name}").ENTRY)


LAYERS = Registry("layer", "core.catalog.layers")
ARCHITECTURES = Registry("architecture", "core.catalog.architectures")
DATASETS = Registry("data set", "core.catalog.datasets")
OPTIMIZERS = Registry("optimizer", "core.catalog.optimizers")
SCHEDULES = Registry("schedule", "core.catalog.schedules")
AUGMENTATIONS = Registry("augmentation", "core.catalog.augmentations")
VIEWS = Registry("view", "core.catalog.views")
METHODS = Registry("attribution method", "core.catalog.attribution")


def load(address: str) -> Any:
    """The object behind `"package.module:Name"`: how a light entry names its heavy half."""
    module, _, name = address.partition(":")
    return attrgetter(name)(importlib.import_module(module))
