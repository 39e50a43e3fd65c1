"""Random faults against a running cluster with people in it, and the invariants that must hold all the while. `make chaos` runs it."""
