"""Tables that are not read tables: consumers and processes write them before an event counts as handled.

So decisions may depend on them; read tables may lag. `handlers/secrets.py` has one more, of the secrets' values.
"""
