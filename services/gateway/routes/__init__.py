"""HTTP to command and back, a file per noun; nothing else happens here."""
