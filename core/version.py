"""The version of retr, for all rooms: who imports it from the package imports the public surface, in a circle."""

VERSION = "0.1.0"
"""``retr.__version__``; that stands there by itself, since ``import retr`` loads no room. A test compares them."""
