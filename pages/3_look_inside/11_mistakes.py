"""Mistakes"""

from pages.kit import look, mistakes

seen, stage = look.at(mistakes.VIEW)
if seen is not None:
    with stage:
        mistakes.draw(seen)
        mistakes.gallery(seen)
        look.below(seen, table=mistakes.table(seen))
