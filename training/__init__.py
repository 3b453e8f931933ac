"""Training: the one visible loop, its data, and the recipes that make model files."""
