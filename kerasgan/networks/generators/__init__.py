"""Generators: one file each, with a function `build(shape, *, ...)` that returns a functional `keras.Model`."""
