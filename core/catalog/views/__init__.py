"""The ways to look inside a run."""
