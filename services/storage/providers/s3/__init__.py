"""An S3-compatible store."""
