"""Draw"""

import streamlit as st

from core.spec import registry
from core.store.runs import Run
from pages.kit import draw, here, look, moments, waiting
from pages.kit.words import _, plain

VIEW = registry.VIEWS.get("draw")


def stage(run: Run) -> None:
    """The pad, and under it the same answer in words, as a table, to download and in PyTorch."""
    layers, form = look.made_of(run)
    if not VIEW.applies(layers, form):
        st.info(plain(_(VIEW.needs)), icon=":material/visibility_off:")
        return
    about, time = st.columns([0.6, 0.4], gap="medium", vertical_alignment="bottom")
    with time:
        step = moments.draw(run)
    if step is None:
        st.info(_("This run keeps no weights yet; they come with its first step."), icon=":material/hourglass_empty:")
        return
    offered = VIEW.layers(layers, form)
    layer = here.layer() if here.layer() in offered else offered[0]
    draw.pad(run.id, step=step, layer=layer, layers=offered)
    seen = waiting.answer(draw.question(run.id, step, layer))
    if seen is not None:
        about.markdown(plain(draw.what_to_draw(seen)))
        look.beyond(seen.sample)
        look.below(seen, table=draw.table(seen))


chosen = here.current()
if chosen:
    stage(chosen)
else:
    look.without_run()
