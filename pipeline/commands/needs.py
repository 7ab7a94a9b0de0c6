"""What stages need of the number of ID training images, so that a run that cannot work is refused before it begins."""

from collections.abc import Mapping

from pipeline.latents.class_sizes import too_few_neighbours
from pipeline.params.all_params import AllParams
from pipeline.params.methods.base import MixedClasses


def neighbours(params: AllParams) -> dict[str, int]:
    """Return the numbers of neighbours that every class has to have rows for, by the name of the parameter."""
    numbers = {"quality.neighbours": params.quality.neighbours}
    if "perturb" in params.synthesize.methods:
        numbers["synthesize.perturb.neighbours"] = params.synthesize.perturb.neighbours
    return numbers


def unfit(params: AllParams, sizes: Mapping[str, int]) -> list[str]:
    """Return every parameter that some stage would refuse for these ID training images, and why.

    sizes: number of images of each class.
    """
    problems = [too_few_neighbours(sizes, k, name) for name, k in neighbours(params).items()]
    if (k := params.infer.knn_neighbours) > (images := sum(sizes.values())):
        problems.append(f"infer.knn_neighbours is {k}, but there are {images} images to train on; lower it")
    for name, method in params.synthesize.enabled.items():
        if isinstance(method, MixedClasses) and method.classes > len(sizes):
            problems.append(f"synthesize.{name}.classes is {method.classes}, but there are {len(sizes)} ID classes")
    if params.train.head.kind == "adacos" and len(sizes) < 3:
        problems.append(f"train.head.kind is 'adacos', which wants 3 classes or more; found {len(sizes)}")
    return [problem for problem in problems if problem]
