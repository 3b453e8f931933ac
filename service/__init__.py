"""The HTTP service and its one page: what ``retr.open`` answers, over the public surface only."""
