"""The JSON routes, one file for each noun."""
