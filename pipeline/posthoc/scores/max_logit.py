"""Max logit: minus the largest logit."""

from torch import Tensor

from pipeline.posthoc.score import NetworkOutputs, PosthocScore


class MaxLogit(PosthocScore):
    """Minus the largest logit."""

    title = "max logit"
    source = "Hendrycks et al. 2022, https://arxiv.org/abs/1911.11132, section 3"

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        return -outputs.logits.max(1).values
