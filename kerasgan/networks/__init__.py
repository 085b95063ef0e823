"""Networks and their parts: layers, generators, discriminators, segmenters, and how a recipe names them."""
