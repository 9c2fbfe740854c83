"""Concepts"""

from pages.kit import concepts, look

seen, stage = look.at(concepts.VIEW)
if seen is not None:
    with stage:
        concepts.draw(seen)
        look.below(seen, table=concepts.table(seen))
