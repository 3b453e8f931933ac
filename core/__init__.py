"""Types, errors, numerics and files that every other room stands on."""
