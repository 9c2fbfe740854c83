"""Group normalisation (Wu & He 2018): groups of maps are shifted and scaled by their own mean and variance.

It does not look at the other samples of the batch, so it works the same with a batch of one.
"""

from dataclasses import dataclass

from core.catalog.entries import PICTURE, Fault, Form, Layer
from core.catalog.layers import _windows
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence, counted


@dataclass(frozen=True)
class GroupNorm(Options):
    """Options of group norm."""

    groups: int = option(
        4,
        _("Groups of maps; 1 makes it a layer norm of the whole picture, as many as maps an instance norm."),
        low=1,
        high=8192,
        unit=_("groups"),
    )


def fault(o: GroupNorm, form: Form) -> Fault | None:
    channels = form.shape[0]
    if channels % o.groups == 0:
        return None
    best = _windows.divisor(channels, o.groups)
    return Fault(
        Sentence("{groups} groups cannot share {channels} maps equally", groups=o.groups, channels=channels),
        counted("use {n} group", "use {n} groups", n=best),
        options={"groups": best},
    )


ENTRY = Layer(
    name="group_norm",
    title=_("group norm"),
    module="torch.nn:GroupNorm",
    takes=(PICTURE,),
    options=GroupNorm,
    arguments=lambda o, form: {"num_groups": o.groups, "num_channels": form.shape[0]},
    fault=fault,
    examples=((GroupNorm(groups=2), Form(PICTURE, (4, 6, 6))), (GroupNorm(groups=1), Form(PICTURE, (3, 5, 5)))),
    order=3,
)
