"""The processes: gateway, kendra, media server, and the command line."""
