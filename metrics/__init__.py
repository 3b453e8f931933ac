"""Perceptual similarity metrics: targets of attack and baselines, under one contract."""
