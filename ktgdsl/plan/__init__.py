"""The intermediate representation: what a spec means, with every default written out. No torch."""
