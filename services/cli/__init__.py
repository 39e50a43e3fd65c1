"""The `doordarshan` command: `main` is its table of contents, a file per command beside it."""
