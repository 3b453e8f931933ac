"""Views of the set ``light``: what views of a query meet (``images.view_pairs`` says which, and why)."""

LIGHT = """
original crop-85x85-at-50x50 crop-70x70-at-0x0 crop-70x70-at-0x100 crop-70x70-at-100x0 crop-70x70-at-100x100
crop-60x85-at-0x50 crop-60x85-at-100x50 turn-left-8-grey turn-right-8-grey turn-left-16-grey turn-right-16-grey
crop-50x100-at-0x50 crop-50x100-at-100x50 crop-100x50-at-50x0 crop-100x50-at-50x100
"""
"""16 views of 1,024 bytes: 768 block means and 256 numbers of retr_s, one byte each."""
