"""The learning rate stays as it is."""

from core.catalog.entries import Schedule
from core.options import Options, _

ENTRY = Schedule(
    name="constant",
    title=_("constant"),
    options=Options,
    factor=lambda _o, _step, _steps: 1.0,
    examples=(Options(),),
    order=1,
)
