"""Measures, never judges: `make bench` prints a table and writes `.run/bench.json`. Ratios within one run count; machines are noisy."""
