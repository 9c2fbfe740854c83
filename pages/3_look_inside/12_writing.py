"""Writing on"""

from pages.kit import look, writing

seen, stage = look.at(writing.VIEW)
if seen is not None:
    with stage:
        writing.draw(seen)
        writing.below(seen)
