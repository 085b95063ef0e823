"""Engines: what computes a network from [-1, 1] to [-1, 1], and which of them is the fastest here without doing harm.

The engine `exact` is the Keras generator in float32 under TensorFlow, as it was validated in training and compared with
its exports. Every other engine is held to it, once a network and machine, on slices of a scan (`gate`), and timed
beside it (`choice`).
"""
