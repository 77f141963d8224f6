"""Load, decide, append: commands on projects, collections, their artworks, and publish packages."""
