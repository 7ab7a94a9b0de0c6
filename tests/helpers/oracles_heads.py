"""The training logits of every head, written once more from their papers: loops over rows and classes."""

import math
import statistics

from tests.helpers.oracles import cosine


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def with_own(features, weight, labels, other, own):
    """Return own(x, w) at each row's own class and other(x, w) at the rest."""
    return [
        [own(x, w) if c == label else other(x, w) for c, w in enumerate(weight)]
        for x, label in zip(features, labels, strict=True)
    ]


def linear(features, weight, bias):
    return [[dot(x, w) + b for w, b in zip(weight, bias, strict=True)] for x in features]


def logit_norm(features, weight, bias, temperature):
    logits = linear(features, weight, bias)
    return [[value / (temperature * math.hypot(*row)) for value in row] for row in logits]


def psi(angle):
    """Find the stretch [j pi, (j + 1) pi] that holds the angle by trying each."""
    j = 0
    while not j * math.pi <= angle <= (j + 1) * math.pi:
        j += 1
    return (-1) ** j * math.cos(angle) - 2 * j


def sphereface(features, weight, labels, margin, step):
    annealing = max(5, 1000 / (1 + 0.12 * step))

    def plain(x, w):
        return math.hypot(*x) * cosine(x, w)

    def own(x, w):
        narrowed = math.hypot(*x) * psi(margin * math.acos(cosine(x, w)))
        return (annealing * plain(x, w) + narrowed) / (1 + annealing)

    return with_own(features, weight, labels, plain, own)


def cosface(features, weight, labels, scale, margin):
    return with_own(
        features, weight, labels, lambda x, w: scale * cosine(x, w), lambda x, w: scale * (cosine(x, w) - margin)
    )


def arcface(features, weight, labels, scale, margin):
    def own(x, w):
        angle = math.acos(cosine(x, w)) + margin
        return scale * (math.cos(angle) if angle <= math.pi else -2 - math.cos(angle))

    return with_own(features, weight, labels, lambda x, w: scale * cosine(x, w), own)


def adacos_scale(features, weight, labels, scale):
    """Return the scale that follows `scale` after one batch."""
    total, own = 0.0, []
    for x, label in zip(features, labels, strict=True):
        total += sum(math.exp(scale * cosine(x, w)) for c, w in enumerate(weight) if c != label)
        own.append(math.acos(cosine(x, weight[label])))
    return math.log(total / len(features)) / math.cos(min(math.pi / 4, statistics.median(own)))


def adacos(features, weight, labels, steps):
    """Return the logits of the last of `steps` steps on the same batch; none is no step, at the first scale."""
    scale = math.sqrt(2) * math.log(len(weight) - 1)
    for _ in range(steps):
        scale = adacos_scale(features, weight, labels, scale)
    return [[scale * cosine(x, w) for w in weight] for x in features]
