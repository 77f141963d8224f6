"""Each service as its clients meet it: all its loops run in the test's event loop, and its HTTP is on a port."""
