"""A headless participant: it speaks the public HTTP API like any client, and sends and receives through aiortc's own parts."""
