"""Tests in rings: pure (no I/O), sfu, services (real Postgres, RabbitMQ, Redis), flows (HTTP to media), browser."""
