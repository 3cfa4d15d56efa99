"""One page of HTML about runs and searches, which needs nothing but itself."""
