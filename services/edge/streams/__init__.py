"""Streams of job events that clients share, over HTTP and over WebSocket."""
