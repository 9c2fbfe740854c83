"""What does this unit want?"""

from pages.kit import look, maximise

seen, stage = look.at(maximise.VIEW)
if seen is not None:
    with stage:
        maximise.draw(seen)
        maximise.below(seen)
