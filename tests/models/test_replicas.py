"""Two replicas at batch 1 train as one device at batch 2: pools, random numbers and losses are those of the batch."""

import numpy as np
import pytest
from replicas import batches, built, in_float64

from kerasgan import registry
from kerasgan.runs import checkpoints

PENALTY = ("losses.adversarial.name=wasserstein", "discriminator.normalization=instance", "optimizer.average_decay=0.9")
SEVERAL = ("optimizer.generator_iterations=2", "optimizer.discriminator_iterations=2")
DRAWN = ("supervision.target=random", "supervision.histogram_weight=1", "losses.adversarial_weight=1")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, ()) for name in registry.names("recipes")),
        ("distiller", ()),
        ("nehra2021", (*PENALTY, *SEVERAL)),
        ("onesided2026", DRAWN),
    ],
)
def test_two_replicas_at_batch_one_equal_one_at_batch_two(two_replicas, name, changes):
    with in_float64():
        alone = built(name, *changes)
        with two_replicas.scope():
            together = built(name, *changes)
        losses = [model.fit(batches(model), verbose=0, shuffle=False).history for model in (alone, together)]
    assert losses[0].keys() == losses[1].keys()
    for loss, (value,) in losses[0].items():
        assert losses[1][loss][0] == pytest.approx(value, rel=0, abs=1e-12), loss
    expected, found = (checkpoints.state(model) for model in (alone, together))
    assert expected.keys() == found.keys() and any(key.startswith("pool/") for key in found) == bool(alone.pools)
    for key, variable in expected.items():
        np.testing.assert_allclose(np.asarray(found[key]), np.asarray(variable), rtol=0, atol=1e-12, err_msg=key)
