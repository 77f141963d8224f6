"""Smaller copies of the images of published tokens: made once, and recorded with the image."""
