"""Memory"""

from pages.kit import look, states

seen, stage = look.at(states.VIEW)
if seen is not None:
    with stage:
        states.draw(seen)
        look.below(seen, table=states.table(seen))
