"""A worker module with a mistake in it."""

missing  # noqa: B018, F821
