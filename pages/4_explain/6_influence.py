"""Influence"""

from pages.kit import influence, look

seen, stage = look.at(influence.VIEW)
if seen is not None:
    with stage:
        influence.draw(seen)
        look.below(seen, table=influence.table(seen))
