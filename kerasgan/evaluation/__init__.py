"""Scores of a run on paired patients, and the comparison of runs."""
