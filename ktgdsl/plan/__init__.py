"""The intermediate representation: what a spec means, with every default written out. Data only."""
