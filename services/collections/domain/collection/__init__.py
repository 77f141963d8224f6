"""The collection aggregate: its state in `state`, its commands by occasion.

Commands: `creation`, `editing`, `publishing`, `archiving`, `custody`.
"""
