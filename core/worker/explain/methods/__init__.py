"""The heavy halves of the attribution methods: from a case and options to a result."""
