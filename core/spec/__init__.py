"""What is asked for and what happens: registry, options, experiments, events, questions, quoting."""
