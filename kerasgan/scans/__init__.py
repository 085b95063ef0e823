"""Scans as the networks see them: volumes, geometry, intensities, preparation and the contract; no TensorFlow."""
