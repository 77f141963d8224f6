"""The file stores: `file_store.py` has what each of them does, a folder beside it how one kind of them does it."""
