"""Recipes: one file each, with a constant `RECIPE`; each reproduces a paper or says what it changes."""
