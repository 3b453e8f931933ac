"""The theorems as pure functions of numbers, and the radii they give."""
