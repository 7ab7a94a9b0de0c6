"""Post-hoc scores once more from their equations: loops, float64 (of GEN: decimals), small inputs."""

import math
from decimal import Decimal, localcontext

import numpy as np

from tests.helpers.oracles import cosine, softmax


def gen(logits, gamma, classes):
    """Sum over the most probable classes of p^gamma (1 - p)^gamma, with digits enough for 1 - p."""
    with localcontext() as context:
        context.prec = 200
        powers = [Decimal(float(value)).exp() for value in logits]
        shares = sorted((power / sum(powers) for power in powers), reverse=True)
        return float(sum((share * (1 - share)) ** Decimal(gamma) for share in shares[:classes]))


def cosine_score(feature, weight):
    return 1 - max(cosine(feature, row) for row in weight)


def covariance(rows, centres):
    size = len(rows[0])
    total = [[0.0] * size for _ in range(size)]
    for row, centre in zip(rows, centres, strict=True):
        for i in range(size):
            for j in range(size):
                total[i][j] += (row[i] - centre[i]) * (row[j] - centre[j]) / len(rows)
    return total


def mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def squared_distance(row, centre, inverse):
    apart = [a - b for a, b in zip(row, centre, strict=True)]
    return sum(x * inverse[i][j] * y for i, x in enumerate(apart) for j, y in enumerate(apart))


def mahalanobis(row, bank, labels):
    """To the nearest class mean, by the inverse of the covariance within classes."""
    means = {label: mean([other for other, its in zip(bank, labels, strict=True) if its == label]) for label in labels}
    inverse = np.linalg.inv(covariance(bank, [means[label] for label in labels]))
    return min(squared_distance(row, centre, inverse) for centre in means.values())


def unit(vector):
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


def mahalanobis_pp(row, bank, labels, shrinkage):
    """The same of unit vectors, by the inverse of the covariance mixed with its mean variance in all directions."""

    row, bank = unit(row), [unit(other) for other in bank]
    means = {label: mean([other for other, its in zip(bank, labels, strict=True) if its == label]) for label in labels}
    mixed = covariance(bank, [means[label] for label in labels])
    level = sum(mixed[i][i] for i in range(len(row))) / len(row)
    for i in range(len(row)):
        for j in range(len(row)):
            mixed[i][j] = (1 - shrinkage) * mixed[i][j] + (shrinkage * level if i == j else 0.0)
    inverse = np.linalg.inv(mixed)
    return min(squared_distance(row, centre, inverse) for centre in means.values())


def combined(row, logits, known, labels, held_back, settings):
    """Distance to the nearest class, and energy guided by kept images, each over its spread of others.

    known: features, logits and the numbers of the kept images. held_back: logits and features of the others.
    """
    (bank, bank_logits, kept), (neighbours, shrinkage) = known, settings

    def centred(values):
        return [value - sum(values) / len(values) for value in values]

    kept_of = [bank[index] for index in kept], [centred(bank_logits[index]) for index in kept]

    def parts(row, logits):
        return math.log(1 + mahalanobis_pp(row, bank, labels, shrinkage)), nnguide(
            row, centred(logits), kept_of, neighbours
        )

    columns = zip(*[parts(row, logits) for logits, row in zip(*held_back, strict=True)], strict=True)
    spreads = [math.sqrt(sum((x - sum(column) / len(column)) ** 2 for x in column) / len(column)) for column in columns]
    return sum(part / spread for part, spread in zip(parts(row, logits), spreads, strict=True))


def relative_mahalanobis(row, bank, labels):
    centre = mean(bank)
    inverse = np.linalg.inv(covariance(bank, [centre] * len(bank)))
    return mahalanobis(row, bank, labels) - squared_distance(row, centre, inverse)


def vim(row, logits, known, weight, bias, kept):
    """alpha times the length of what is left of a feature outside of `kept` principal axes, plus the energy."""
    bank, bank_logits = known
    origin = -np.linalg.pinv(weight) @ bias
    moments = covariance(bank, [origin] * len(bank))
    _, axes = np.linalg.eigh(moments)
    outside = [axes[:, index] for index in range(len(axes) - kept)]

    def residual(feature):
        return math.sqrt(
            sum(sum((f - o) * a for f, o, a in zip(feature, origin, axis, strict=True)) ** 2 for axis in outside)
        )

    alpha = sum(max(each) for each in bank_logits) / sum(residual(feature) for feature in bank)
    return alpha * residual(row) - math.log(sum(math.exp(value) for value in logits))


def msp(logits):
    return -math.log(max(softmax(logits)))


def energy(feature, weight, bias):
    logits = [sum(f * w for f, w in zip(feature, row, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
    return -math.log(sum(math.exp(value) for value in logits))


def react(feature, bank, weight, bias):
    """Energy of the feature cut off where 90 % of all values of the bank lie below."""
    ceiling = np.percentile(bank, 90)
    return energy([min(value, ceiling) for value in feature], weight, bias)


def scale(feature, weight, bias):
    """Energy of the feature times e^r; negative values are no strength."""
    strength = sorted((max(value, 0.0) for value in feature), reverse=True)
    largest = sum(strength[: len(feature) - round(0.85 * len(feature))])
    factor = math.exp(sum(strength) / largest if largest > 0 else 0)
    return energy([factor * value for value in feature], weight, bias)


def fdbd(feature, logits, bank, weight):
    first = max(range(len(logits)), key=lambda index: logits[index])
    others = [c for c in range(len(logits)) if math.dist(weight[first], weight[c]) > 0]
    apart = [(logits[first] - logits[c]) / math.dist(weight[first], weight[c]) for c in others]
    return -sum(apart) / max(1, len(others)) / max(math.dist(feature, mean(bank)), 1e-8)


def nnguide(feature, logits, known, neighbours):
    """The energy times the mean of the largest cosines to ID training images, each times its own."""
    bank, bank_logits = known

    def log_sum(values):
        return math.log(sum(math.exp(value) for value in values))

    products = sorted(cosine(feature, other) * log_sum(its) for other, its in zip(bank, bank_logits, strict=True))
    return -log_sum(logits) * sum(products[-neighbours:]) / neighbours
