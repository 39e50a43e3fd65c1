"""For tests against a real broker: private services, and whole systems of real processes on them."""
