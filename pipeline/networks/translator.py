"""The translator of feature distillation: the teacher's features to the width of the student's."""

from torch import Tensor, nn
from torch.nn.functional import batch_norm


class Translator(nn.Module):
    """Batch norm, linear, ReLU, batch norm: the student's features are compared with its output.

    It is trained together with the student, by the same loss, so its parameters belong in the student's optimiser. It
    is not used after training. The last norm fixes the scale of the output, which could otherwise grow or shrink to
    lower the loss.

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
    """Batch normalisation that also accepts the last, short batch of an epoch, with one row or none.

    One row has no variance, and PyTorch refuses it. No rows would make the running statistics NaN. Such a batch is
    normalised by the running statistics, as in evaluation, and does not change them.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name of the method that this overrides
        if self.training and len(input) < 2:
            return batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)
