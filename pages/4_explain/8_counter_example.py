"""Counter-example"""

from pages.kit import counter_example, look

seen, stage = look.at(counter_example.VIEW)
if seen is not None:
    with stage:
        counter_example.draw(seen)
        look.below(counter_example.rest(seen), table=counter_example.table(seen))
