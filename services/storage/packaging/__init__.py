"""Publish packages as CAR files: the artworks in them, and the file's bytes (docs/how-to/publish-a-package.md)."""
