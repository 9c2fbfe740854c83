"""Gradient flow"""

from pages.kit import gradients, look

seen, stage = look.at("gradients")
if seen is not None:
    with stage:
        gradients.verdicts(seen)
        gradients.flow(seen)
        gradients.activations(seen)
        gradients.thresholds()
        look.below(seen, table=gradients.table(seen), words=False)
