"""What a run's network is made of: its layers and its data's form, without torch."""

from __future__ import annotations

from functools import lru_cache

from core.catalog.entries import DataForm
from core.spec import registry
from core.spec.specs import LayerSpec
from core.store.runs import Run


@lru_cache(maxsize=1000)
def made_of(run: Run) -> tuple[tuple[LayerSpec, ...], DataForm]:
    """The run's layers and its data's form. StoreError where its experiment cannot be read.

    An experiment is written once and never changed, so it is read once.
    """
    experiment = run.experiment()
    form: DataForm = registry.DATASETS.get(experiment.data.name).form(experiment.data.options)
    model = experiment.model
    return model.layers or registry.ARCHITECTURES.get(model.architecture).layers(model.options, form), form
