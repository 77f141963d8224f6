"""What rows are held against: programs that do the same in the plainest way."""
