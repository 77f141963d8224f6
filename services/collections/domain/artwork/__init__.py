"""The artwork aggregate: one per generation. `traits` and `tokens` are what metadata is made from."""
