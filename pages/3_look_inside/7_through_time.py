"""Through time"""

from pages.kit import look, through_time

seen, stage = look.at(through_time.VIEW)
if seen is not None:
    with stage:
        through_time.draw(seen)
        look.below(seen, table=through_time.table(seen))
