"""Losses of unpaired translation and of segmentation; one file of this folder, or a `.py` file of one's own, is one.

- An adversarial loss has `discriminator(...)`, `generator(...)` and, optionally, `penalty(...)`, which is added to the
  discriminator's loss. `TERMS_ARE_SUMMED = True` says that `discriminator` adds up its terms for real and synthetic
  images; otherwise it takes their mean.
- A loss that compares two images has `loss(image, other)`: a cycle loss compares an image with its reconstruction, a
  structural loss an image with its translation, a histogram loss a translation with its target.
- A loss of a segmentation has `segmentation(labels, scores)`.

Each names as positional arguments what it wants from the training step, and as keyword-only arguments, with type and
default, its options. It returns a value for each image, `[batch]`, or each pixel, or a scalar. In each direction a
step offers:

- `real_images`, `fake_images`: real and synthetic images of the target domain, `[batch, height, width, channels]` in
  [-1, 1]; the synthetic ones of `discriminator` and `penalty` come from the image pool. Not for `segmentation`.
- `real_scores`, `fake_scores`: the discriminator's scores of these, without an activation, `[batch, rows, columns, 1]`.
  For adversarial losses.
- `discriminator`: the network itself, from images to scores. Not for `segmentation`.
- `fractions`: random numbers in [0, 1), `[batch, 1, 1, 1]`. For `discriminator` and `penalty`.
- `source`, `synthetic`, `reconstructed`: real images, their translations, and the translations of these back again. For
  `generator` and `loss`, the first two for `segmentation` as well.
- `target`: what a source is to become, or without pairs a real image of the target domain. For a histogram loss.
- `image`, `other`: the two images that this place in the recipe compares. For `loss`.
- `labels`, `scores`: classes, int32 `[batch, height, width]`, and scores before the softmax,
  `[batch, height, width, classes]`. For `segmentation`.
- `y_true`, `y_pred`: Keras's names for `image` and `other`, or `labels` and `scores`, so that its losses fit.

Here each loss bears its file's name: `kerasgan.losses.absolute_error(image, other)`,
`kerasgan.losses.least_squares.generator(fake_scores)`.
"""

from kerasgan.losses import least_squares, log_likelihood, wasserstein
from kerasgan.losses.absolute_error import loss as absolute_error
from kerasgan.losses.cross_entropy import segmentation as cross_entropy
from kerasgan.losses.dice import over_batch as dice_over_batch
from kerasgan.losses.dice import segmentation as dice
from kerasgan.losses.gradient_consistency import loss as gradient_consistency
from kerasgan.losses.histogram_distance import loss as histogram_distance
from kerasgan.losses.mutual_information import loss as mutual_information
from kerasgan.losses.squared_error import loss as squared_error

__all__ = [
    "absolute_error",
    "cross_entropy",
    "dice",
    "dice_over_batch",
    "gradient_consistency",
    "histogram_distance",
    "least_squares",
    "log_likelihood",
    "mutual_information",
    "squared_error",
    "wasserstein",
]
