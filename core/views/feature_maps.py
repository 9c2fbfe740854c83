"""What every layer makes of one sample.

arrays: layer address → [channel, height, width] (a picture), [step, feature] (a sequence) or [feature].
"""

from __future__ import annotations

from core.catalog.views.feature_maps import FeatureMaps
from core.questions import Seen
from core.subject import Report, Subject


def look(subject: Subject, options: FeatureMaps, report: Report) -> Seen:
    """Every layer's output for the sample."""
    arrays = {address: output[0] for address, output in subject.outputs().items()}
    chosen = arrays[subject.layer]
    strength = chosen.abs().mean((1, 2)) if chosen.dim() == 3 else chosen.abs()
    order = strength.argsort(descending=True).tolist() if options.by_strength and chosen.dim() == 3 else []
    facts = {"order": order}
    code = (
        "maps = {}\n"
        "for name, layer in network.named_children():\n"
        "    layer.register_forward_hook(lambda module, inputs, output, name=name: maps.update({name: output[0]}))\n"
        "with torch.no_grad():\n"
        "    network(x)\n"
        f'print(maps["{subject.layer}"].shape)\n'
    )
    return subject.seen(arrays, facts, [], code)
