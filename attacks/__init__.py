"""Attacks on anything that has a loss: one algorithm per file, and the harness that enforces budgets and judges."""
