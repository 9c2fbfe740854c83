"""Attention"""

from pages.kit import attention, look

seen, stage = look.at("attention")
if seen is not None:
    with stage:
        attention.draw(seen, attention.choice(seen))
        look.below(seen, table=attention.table(seen))
