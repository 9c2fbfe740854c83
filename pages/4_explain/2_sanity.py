"""Sanity check"""

from pages.kit import look, sanity

seen, stage = look.at(sanity.VIEW)
if seen is not None:
    with stage:
        sanity.draw(seen)
        look.below(seen, table=sanity.table(seen))
