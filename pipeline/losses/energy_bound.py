"""Energy-bounded outlier exposure: ID rows get energies below a bound, outliers get energies above another."""

from typing import NamedTuple

from torch import Tensor


class EnergyBound(NamedTuple):
    """The squared distance of each row's energy from its bound; 0 on the right side."""

    id_rows: Tensor  # (n,) nats^2
    outliers: Tensor  # (m,) nats^2


def energy_bound(
    id_logits: Tensor,  # (n, k)
    outlier_logits: Tensor,  # (m, k), m may be 0
    *,
    id_energy: float,
    outlier_energy: float,
) -> EnergyBound:
    """Return the squared hinge losses that lower ID energies and raise outlier energies.

        id_rows_i = max(0, E(id_row_i) - id_energy)^2,   outliers_j = max(0, outlier_energy - E(outlier_j))^2

    E(row) = -logsumexp of the row's logits, as in the energy score; it is low for ID rows. id_energy is the paper's
    m_in and outlier_energy its m_out. Energies have no natural zero (they shift with the logits), so suitable bounds
    depend on the network and the number of classes. A loss is 0 on the right side of its bound; lower is better; no
    rows give no values.

    Source: Liu et al. 2020, https://arxiv.org/abs/2010.03759, eq. 8 and 9. The caller takes their expectations.
    """
    return EnergyBound(
        id_rows=(_energy(id_logits) - id_energy).relu().square(),
        outliers=(outlier_energy - _energy(outlier_logits)).relu().square(),
    )


def _energy(logits: Tensor) -> Tensor:
    return -logits.logsumexp(1)
