"""Energy-bounded outlier exposure: energies of ID rows below one bound, those of outliers above another."""

from typing import NamedTuple

from torch import Tensor


class EnergyBound(NamedTuple):
    """By how much each row is on the wrong side of its bound, squared."""

    known: Tensor  # (n,) nats^2
    outliers: Tensor  # (m,) nats^2


def energy_bound(
    known_logits: Tensor,  # (n, k) of ID rows
    outlier_logits: Tensor,  # (m, k), m may be 0
    *,
    known_energy: float,
    outlier_energy: float,
) -> EnergyBound:
    """Return the squared hinge losses that draw ID energies down and outlier energies up.

        known_i = max(0, E(known_i) - known_energy)^2,   outliers_j = max(0, outlier_energy - E(outlier_j))^2

    E(row) = -logsumexp of its logits, as in the energy score: low on what the network knows. known_energy is the
    paper's m_in and outlier_energy its m_out. Energies have no natural zero (they shift with the logits), so both
    bounds belong to a network and its number of classes. 0 beyond the bound; lower is better; no rows give no values.

    Source: Liu et al. 2020, https://arxiv.org/abs/2010.03759, eq. 8 and 9, whose expectations are left to the caller.
    """
    return EnergyBound(
        known=(_energy(known_logits) - known_energy).relu().square(),
        outliers=(outlier_energy - _energy(outlier_logits)).relu().square(),
    )


def _energy(logits: Tensor) -> Tensor:
    return -logits.logsumexp(1)
