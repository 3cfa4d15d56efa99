"""Every name a spec may use, with its parameters, ranges, units and meaning. No torch."""
