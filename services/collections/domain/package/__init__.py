"""The package aggregate: one per collection and job. `contents` lists what a package is made of."""
