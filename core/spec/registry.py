"""Name → entry. A registry finds its entries by itself: every module of one catalog folder is one entry.

Adding a thing is adding a file; nothing else has to be told.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cached_property
from operator import attrgetter
from typing import Any

from core.spec.quoting import quoted
from core.spec.sentences import Sentence


class CatalogError(ValueError):
    """A name nobody knows, or an entry that is not called as its file is; the text is a sentence for a person."""


class Registry:
    """The entries of one catalog folder, each read when it is first asked for.

    Each module of `package` that does not begin with an underscore holds one module-level `ENTRY`, whose `name` is the
    module's: so a name is known, or refused, without reading any entry.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind  # the word used in sentences: "layer", "dataset", …
        self._one = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        self.package = package

    def get(self, name: str) -> Any:
        """The entry called `name`; an unknown name raises CatalogError with the nearest known one."""
        if not isinstance(name, str):
            raise CatalogError(
                Sentence("The name of {one} must be a word. Known: {known}.", one=self._one, known=self._files)
            )
        if name not in self._files:
            near = difflib.get_close_matches(name[:60], self._files, n=1)
            raise CatalogError(
                Sentence(
                    "There is no {kind} called “{name}”.{hint} Known: {known}.",
                    kind=self.kind,
                    name=quoted(name),
                    hint=Sentence(" Did you mean “{near}”?", near=near[0]) if near else "",
                    known=self._files,
                )
            )
        return self._entry(name)

    def names(self) -> list[str]:
        """Every name, in the order in which the entries want to be offered."""
        return [e.name for e in self]

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(map(self._entry, self._files), key=lambda e: (getattr(e, "order", 100), e.name)))

    def __contains__(self, name: object) -> bool:
        return name in self._files

    @cached_property
    def _files(self) -> list[str]:
        folder = importlib.import_module(self.package)
        return sorted(module.name for module in pkgutil.iter_modules(folder.__path__) if module.name[0] != "_")

    def _entry(self, file: str) -> Any:
        entry = importlib.import_module(f"{self.package}.{file}").ENTRY
        if entry.name != file:
            raise CatalogError(
                Sentence(
                    "The {kind} in {file}.py is called “{entry}”. A file and its entry have the same name: rename one.",
                    kind=self.kind,
                    file=file,
                    entry=entry.name,
                )
            )
        return entry


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
