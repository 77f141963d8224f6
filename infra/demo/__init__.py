"""The demonstration: creates and generates a collection through the public API, as any client would."""
