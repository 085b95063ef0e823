"""A loss file of a user's own, whose generator compares the scores of real and synthetic images (arXiv:1807.00734)."""

from keras import ops

from kerasgan.losses._checks import checked_images


def discriminator(real_scores, fake_scores):
    real_scores, fake_scores = checked_images(real_scores, fake_scores)
    return ops.mean(ops.softplus(fake_scores - real_scores), axis=[1, 2, 3])


def generator(real_scores, fake_scores):
    return discriminator(fake_scores, real_scores)
