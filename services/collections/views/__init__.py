"""What the API returns, and how it is made from states, rows and events."""
