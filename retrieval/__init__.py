"""Exact search over a fast index, certified answers, verdicts and calibration."""
