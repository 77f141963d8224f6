"""Takes in what workers send: results, checkpoints, announcements and requests."""
