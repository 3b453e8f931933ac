"""Layers with a proved Lipschitz constant, one file each."""
