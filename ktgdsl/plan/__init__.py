"""The intermediate representation: frozen data that says all of what a spec means."""
