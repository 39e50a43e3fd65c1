"""WebRTC in, WebRTC out: a selective forwarding unit that knows no broker, no database and no meeting."""
