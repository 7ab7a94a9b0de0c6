"""The same quantities as the library's, written once more from their equations: loops, float64, small inputs."""

import math

import numpy as np


def softmax(logits):
    shifted = [math.exp(value - max(logits)) for value in logits]
    return [value / sum(shifted) for value in shifted]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def info_nce(features, labels, outliers, temperature):
    """Per anchor: mean over positives of -log( e^p / (e^p + sum over other classes + sum over outliers) )."""
    values = []
    for i, anchor in enumerate(features):
        against = sum(
            math.exp(cosine(anchor, other) / temperature) for j, other in enumerate(features) if labels[j] != labels[i]
        ) + sum(math.exp(cosine(anchor, outlier) / temperature) for outlier in outliers)
        terms = []
        for j, other in enumerate(features):
            if j != i and labels[j] == labels[i]:
                positive = math.exp(cosine(anchor, other) / temperature)
                terms.append(-math.log(positive / (positive + against)))
        values.append(sum(terms) / len(terms) if terms else 0.0)
    return values


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def outlier_exposure(logits, targets=None):
    """Divergences from targets, or from uniform ones; a probability of 0 adds nothing."""
    targets = targets or [[1 / len(row)] * len(row) for row in logits]
    return [
        sum(y * math.log(y / p) for y, p in zip(target, softmax(row), strict=True) if y)
        for target, row in zip(targets, logits, strict=True)
    ]


def reconstruction(decoded, latents):
    rows = zip(decoded, latents, strict=True)
    missed = [[(a - b) ** 2 for a, b in zip(one.ravel(), other.ravel(), strict=True)] for one, other in rows]
    return [sum(row) / len(row) for row in missed]


def distillation(student, teacher, temperature):
    cool = [[value / temperature for value in row] for row in student]
    aim = [[value / temperature for value in row] for row in teacher]
    return [temperature**2 * kl(softmax(q), softmax(p)) for p, q in zip(cool, aim, strict=True)]


def energy_bound(id_logits, outlier_logits, id_energy, outlier_energy):
    def energy(row):
        return -math.log(sum(math.exp(value) for value in row))

    id_rows = [max(0, energy(row) - id_energy) ** 2 for row in id_logits]
    return id_rows, [max(0, outlier_energy - energy(row)) ** 2 for row in outlier_logits]


def log_normal(row, mean, log_variance):
    """Log density of a normal distribution with independent dimensions."""
    return sum(
        -((value - m) ** 2) / (2 * math.exp(v)) - math.log(2 * math.pi * math.exp(v)) / 2
        for value, m, v in zip(row, mean, log_variance, strict=True)
    )


def club(y, means, log_variances):
    """Per pair: log q(y_i | x_i) less the mean over every j of log q(y_j | x_i)."""
    values = []
    for i, (mean, log_variance) in enumerate(zip(means, log_variances, strict=True)):
        every = [log_normal(row, mean, log_variance) for row in y]
        values.append(every[i] - sum(every) / len(every))
    return values


def kth_distance(query, bank, k):
    return sorted(math.dist(query, row) for row in bank)[k - 1]


def auroc(known, unknown):
    wins = sum((u > k) + (u == k) / 2 for u in unknown for k in known)
    return wins / (len(known) * len(unknown))


def fpr95(negative, positive):
    """Try every threshold from the top down; the first that catches 95 % of the positives decides."""
    for threshold in sorted({*negative, *positive}, reverse=True):
        caught = sum(value >= threshold for value in positive)
        if 20 * caught >= 19 * len(positive):
            return sum(value >= threshold for value in negative) / len(negative)
    raise AssertionError


def average_precision(negative, positive):
    """Sum over thresholds of precision times the recall gained there."""
    total, recall = 0.0, 0.0
    for threshold in sorted({*negative, *positive}, reverse=True):
        caught = sum(value >= threshold for value in positive)
        flagged = caught + sum(value >= threshold for value in negative)
        total += (caught / len(positive) - recall) * caught / flagged
        recall = caught / len(positive)
    return total


def trapezoid(negative, positive):
    """Area under straight lines between precision and recall at every threshold, from precision 1 at recall 0."""
    total, before = 0.0, (0.0, 1.0)
    for threshold in sorted({*negative, *positive}, reverse=True):
        caught = sum(value >= threshold for value in positive)
        here = caught / len(positive), caught / (caught + sum(value >= threshold for value in negative))
        total += (here[0] - before[0]) * (here[1] + before[1]) / 2
        before = here
    return total


def normalised(row):
    return (np.asarray(row) / math.hypot(*row)).tolist()
