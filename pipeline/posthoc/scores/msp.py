"""MSP: the uncertainty of the most probable class."""

from torch import Tensor
from torch.nn.functional import softplus

from pipeline.posthoc.logits import largest_and_others
from pipeline.posthoc.score import NetworkOutputs, PosthocScore


class Msp(PosthocScore):
    """-log max softmax, in nats: the same order as 1 - max softmax, but without saturation at 0.

    It is computed as softplus(logsumexp of the other logits - the largest logit). This stays exact where a softmax of
    1 - 1e-30 would round to 1.
    """

    title = "MSP"
    source = "Hendrycks and Gimpel 2017, https://arxiv.org/abs/1610.02136"

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        largest, others = largest_and_others(outputs.logits)
        return softplus(others - largest)
