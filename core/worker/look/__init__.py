"""The heavy half of each view of the catalog, under the same name: (subject, options, report) → Seen."""
