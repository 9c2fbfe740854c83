"""Feature maps"""

from pages.kit import look, maps

seen, stage = look.at(maps.VIEW)
if seen is not None:
    with stage:
        maps.draw(seen)
        maps.top(seen)
        look.below(seen, table=maps.table(seen))
