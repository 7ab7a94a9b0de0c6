"""The translator of feature distillation: from the teacher's features to the student's width."""

from torch import Tensor, nn
from torch.nn.functional import batch_norm


class Translator(nn.Module):
    """Batch norm, linear, ReLU, batch norm: what the student's features are compared with.

    It learns together with the student, from the same loss, and is of no use afterwards; its parameters belong in the
    student's optimiser. The last norm keeps it from the easy way out of growing or shrinking its output.

    Source: OAL, https://arxiv.org/abs/2406.16525, its published code. Differs in a batch of one row, see `_BatchNorm`.
    """

    def __init__(self, teacher_features: int, student_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _BatchNorm(teacher_features),
            nn.Linear(teacher_features, student_features),
            nn.ReLU(),
            _BatchNorm(student_features),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the translation (n, student_features) of the teacher's features (n, teacher_features)."""
        translated: Tensor = self.layers(features)
        return translated


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that is defined on the last, short batch of an epoch.

    One row has no variance, and PyTorch refuses it; none would make the running statistics NaN. Such a batch is
    normalised by the running statistics, as in evaluation, and leaves them as they are.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name of the method that this overrides
        if self.training and len(input) < 2:
            return batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)
