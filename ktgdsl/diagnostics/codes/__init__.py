"""What each diagnostic code means, with a mistake that leads to it and its correction."""
