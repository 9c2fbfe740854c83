"""Faithfulness"""

from pages.kit import faithfulness, look

seen, stage = look.at(faithfulness.VIEW)
if seen is not None:
    with stage:
        faithfulness.draw(seen)
        look.below(seen)
