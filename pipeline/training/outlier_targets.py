"""What a detector should predict for an outlier: no class, or the classes that it lies between."""

import numpy as np
from numpy.typing import NDArray


def outlier_targets(
    classes: NDArray[np.int64],  # (m, c) of each row, two or more; NOBODY for none
    shares: NDArray[np.float32],  # (m, c) of these classes, sums of 1
    class_count: int,
    label_mix: float,
) -> NDArray[np.float32]:  # (m, k) probabilities
    """Return the target of each outlier.

        y_i = (1 - label_mix) u + label_mix sum_c lam_ic onehot(class_ic)

    u is uniform over the classes. With label_mix 0 that is outlier exposure, with 1 the target of mixup (Zhang et al.
    2018, https://arxiv.org/abs/1710.09412, eq. 2). A row that does not lie between classes, as those of perturb and
    shuffle, has the target u whatever label_mix is: it is made to show no class.
    """
    targets = np.full((len(classes), class_count), 1 / class_count, np.float32)
    between = (classes >= 0).all(1) & (classes != classes[:, :1]).any(1)
    mixes = np.zeros((int(between.sum()), class_count), np.float32)
    np.add.at(mixes, (np.arange(len(mixes))[:, None], classes[between]), shares[between])
    targets[between] += label_mix * (mixes - targets[between])
    return targets
