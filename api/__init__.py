"""The public surface: one file for each concern, over all other rooms. People import its names from ``retr`` itself."""
