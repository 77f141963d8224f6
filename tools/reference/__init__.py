"""Reference pages that are generated from the code: `make reference` writes them, a test compares them."""
