"""One way from scan to scan, for every model that has a contract and predicts slices; it runs without TensorFlow."""
