"""Training methods, one module each: the networks, the losses and one training step."""
