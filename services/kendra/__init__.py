"""Kendra: places meetings, seats participants, asks media servers, publishes events, sweeps what was left behind. Stateless."""
