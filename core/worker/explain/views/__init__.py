"""The heavy halves of the views that ask why: checks of a method, concepts, influence, attacks, counter-examples."""
