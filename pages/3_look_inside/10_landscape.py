"""Loss landscape"""

from pages.kit import landscape, look

seen, stage = look.at("landscape")
if seen is not None:
    with stage:
        rows = landscape.draw(seen)
        look.below(seen, table=rows)
