"""Convolution up close"""

from pages.kit import convolution, look

seen, stage = look.at("convolution")
if seen is not None:
    with stage:
        convolution.choice(seen)
        convolution.pictures(seen)
        convolution.sum_line(seen)
        convolution.products(seen)
        convolution.formula(seen)
        look.below(seen, table=convolution.table(seen))
