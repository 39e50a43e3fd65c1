"""Private Postgres, RabbitMQ and Redis, and the processes of the system beside them: one noun, one file.

A private service belongs to one run directory, listens on loopback only, on ports outside the kernel's ephemeral range,
and every one of its users has a password of its own. Nothing here knows what a meeting is.
"""
