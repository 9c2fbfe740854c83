"""Attack"""

from pages.kit import attack, look

seen, stage = look.at(attack.VIEW)
if seen is not None:
    with stage:
        attack.draw(seen)
        look.below(attack.rest(seen), table=attack.table(seen))
