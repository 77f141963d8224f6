"""The demonstration: a collection comes to life through the public API, as any client's would."""
