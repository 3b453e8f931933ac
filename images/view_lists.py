"""Views of the sets ``light/1`` and ``standard``, in the order in which docs/benchmarks/choose_views.py took them."""

LIGHT_1 = """
original flip grey window-9-8-4-light window-9-8-4-dark gamma-160 turn-left-16-grey turn-right-12-grey gamma-60
border-0x15-black window-9-8-0-light border-5x5-white window-9-0-4-light border-0x15-white turn-left-16-white
turn-right-16-white
"""
"""16 views of 1,024 bytes: 768 block means and 256 numbers of retr_s, one byte each."""

STANDARD = """
original flip grey window-9-8-4-light window-9-8-4-dark gamma-160 turn-left-16-grey turn-right-12-grey gamma-60
border-0x15-black window-9-8-0-light border-5x5-white window-9-0-4-light border-0x15-white turn-left-16-white
turn-right-16-white window-9-0-4-dark turn-right-16-black border-5x5-black border-10x10-white turn-left-9-black
crop-85x85-at-100x50 crop-85x75-at-0x50 window-9-8-0-dark border-10x10-black turn-right-4-grey turn-left-8-grey
border-15x0-white border-15x0-black border-0x8-black turn-left-16-black crop-85x85-at-50x100 crop-85x75-at-50x0
turn-right-9-white turn-left-9-white window-9-0-0-light turn-right-9-black border-5x5-grey turn-right-16-grey
crop-65x85-at-100x50 bar-across-16-at-50-black turn-left-4-grey crop-65x85-at-50x50 bar-down-16-at-50-white
crop-65x85-at-0x50 border-0x8-white turn-right-8-grey bar-across-16-at-100-white window-9-0-0-dark
bar-down-16-at-100-black crop-65x65-at-67x67 border-8x0-black bar-down-16-at-0-black crop-85x75-at-50x100
crop-65x65-at-33x33 turn-left-12-grey crop-85x75-at-50x50 border-8x0-white turn-left-20-grey border-10x10-grey
crop-85x85-at-0x100 crop-75x85-at-100x50 border-0x8-grey bar-down-16-at-50-black bar-down-16-at-0-white
crop-75x85-at-0x0 bar-across-16-at-0-white border-8x0-grey crop-75x75-at-100x0 grey+flip turn-right-20-grey
crop-75x55-at-50x50 bar-down-16-at-100-white crop-85x65-at-0x100 bar-across-16-at-50-white bar-across-16-at-100-black
border-0x15-grey crop-75x65-at-50x0 crop-75x85-at-50x0 crop-85x85-at-50x50 crop-85x85-at-100x0 crop-100x85-at-0x0
crop-55x65-at-67x100 crop-75x75-at-0x50 border-15x0-grey crop-65x85-at-50x100 crop-65x75-at-50x0 crop-65x65-at-100x67
crop-65x65-at-33x67 crop-85x75-at-0x0 crop-85x100-at-50x0 flip+border-5x5-black crop-65x85-at-0x100
crop-65x65-at-50x50 crop-55x65-at-67x33 crop-65x65-at-0x50 crop-85x65-at-50x100 crop-85x85-at-100x100
crop-85x100-at-0x0 crop-55x85-at-50x0 crop-100x85-at-0x50 crop-75x85-at-100x100 crop-75x85-at-50x50 crop-85x85-at-0x0
crop-85x100-at-100x0 crop-65x85-at-0x0 crop-65x85-at-50x0 crop-85x75-at-0x100 crop-65x75-at-50x100 crop-75x75-at-0x0
crop-100x65-at-0x0 crop-85x65-at-0x50 crop-75x75-at-100x50 crop-75x85-at-100x0 crop-100x85-at-0x100
crop-75x85-at-0x100 flip+turn-right-8-grey flip+window-9-0-0-dark crop-85x55-at-50x50 crop-75x75-at-50x50
crop-85x85-at-50x0 flip+turn-left-8-grey crop-55x100-at-50x0 crop-65x65-at-100x50 crop-100x75-at-0x0
crop-55x65-at-67x67 crop-75x100-at-100x0 crop-75x65-at-0x50
"""
"""128 views of 1,024 bytes: 768 block means and 256 numbers of retr_s, one byte each."""
