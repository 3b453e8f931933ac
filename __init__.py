"""retr: image retrieval and copy detection that proves how far an image must change to change the answer."""

__version__ = "0.1.0"
