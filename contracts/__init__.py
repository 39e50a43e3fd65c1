"""What services say to each other: frozen pydantic models, one file per flow."""
