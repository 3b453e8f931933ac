"""Attacks, one algorithm per file, and the harness that enforces budgets and judges."""
