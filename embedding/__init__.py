"""Embedders: what turns a resized image into a vector, and the proof of how fast that vector can move."""
