"""Where are the classes?"""

from pages.kit import embeddings, look

seen, stage = look.at(embeddings.VIEW)
if seen is not None:
    with stage:
        embeddings.draw(seen)
        look.below(seen, table=embeddings.table(seen), words=False)
