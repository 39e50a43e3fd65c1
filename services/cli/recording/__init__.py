"""Recordings: what passed over the bus, written down; sent again elsewhere; and what came out differently."""
