"""The worker of the built-in workflows: sketch, frame and caption."""
