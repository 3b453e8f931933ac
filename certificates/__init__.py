"""The theorems as pure functions of numbers: no images, no models, no files. docs/theory.md is their twin."""
