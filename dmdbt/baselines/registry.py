"""Facts of each baseline without running it. A new one is a line here, its step, and its section of params."""

from dataclasses import dataclass

from dmdbt.terms import Modality


@dataclass(frozen=True)
class Baseline:
    """A classifier of another publication.

    Attributes
    ----------
    name
        In ``baselines.names``, in commands and in files.
    section
        Its field in the section ``baselines`` of ``params.yaml``: ``dvc exp run -S`` takes no key with a digit first.
    title
        The name in print.
    modalities
        The images that it sees.
    weights
        Name of its pre-trained weights under ``backbones.weights``.
    published_auc
        In Table II of the paper; None if the paper does not have this baseline.
    """

    name: str
    section: str
    title: str
    modalities: tuple[Modality, ...]
    weights: str
    published_auc: float | None = None


BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("2d_t3_alex", "alexnet_2d", "2D-T3-Alex", (Modality.DM,), "alexnet", published_auc=0.87),
        Baseline("3d_t2_alex", "alexnet_3d", "3D-T2-Alex", (Modality.DBT,), "alexnet", published_auc=0.72),
        Baseline("svm_gap", "svm_gap", "SVM on averaged features", tuple(Modality), "vgg19"),
        Baseline("resnet3d", "resnet3d", "3-D ResNet", (Modality.DBT,), "resnet3d"),
    )
}
