"""Load, decide, append: commands on assets and on packages."""
