"""What the fields of a payload may be, as the workflows' forms say: a test compares them.

The engine checks a job against the forms before it is paid. These limits hold for what comes from elsewhere.
"""

SKETCH_PROMPT = 4000
"""Characters."""
SKETCH_SIDE = (64, 2048)
"""The least and the greatest width and height, in pixels."""
CAPTION_PROMPT = 4000
FRAME_TITLE = 300
