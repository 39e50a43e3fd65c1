"""Owns live media: workers, routers, transports, producers, consumers. Writes what it did to Postgres, and renews its lease there."""
