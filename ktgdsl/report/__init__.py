"""Everything shown to people: plans, runs, searches, tables, pictures."""
