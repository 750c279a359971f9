"""Who is simulated: settings of the cohort, and what is drawn per patient before any image is made."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dmdbt.terms import Label, Laterality, View

# Malignant pairs of the paper's 1,124.
MALIGNANT_SHARE = 709 / 1124

# Compressed thickness of screened breasts: mean, standard deviation, bounds (mm).
THICKNESS_MM = (52.0, 9.0, 34.0, 72.0)
# Chest wall to nipple under compression: mean, standard deviation, bounds (mm).
DEPTH_MM = (85.0, 12.0, 62.0, 112.0)
# Volumetric glandular share: spread of its logarithm, bounds.
DENSITY = (0.45, 0.05, 0.45)
# Radius of a finding: median (mm), spread of its logarithm, bounds (mm).
RADIUS_MM = (10.0, 0.25, 5.0, 16.0)


class FindingType(StrEnum):
    """Kind of finding in the breast. Its look is benign for the first two, malignant for the others."""

    CIRCUMSCRIBED_MASS = "circumscribed_mass"
    COARSE_CALCIFICATIONS = "coarse_calcifications"
    SPICULATED_MASS = "spiculated_mass"
    FINE_CALCIFICATIONS = "fine_calcifications"
    DISTORTION = "distortion"


# How often each finding is met, by its look.
FINDING_SHARES = {
    Label.BENIGN: {FindingType.CIRCUMSCRIBED_MASS: 0.65, FindingType.COARSE_CALCIFICATIONS: 0.35},
    Label.MALIGNANT: {
        FindingType.SPICULATED_MASS: 0.55,
        FindingType.FINE_CALCIFICATIONS: 0.30,
        FindingType.DISTORTION: 0.15,
    },
}


@dataclass(frozen=True)
class PhantomSettings:
    """The section ``phantom`` of ``params.yaml``.

    Parameters
    ----------
    patients, seed
        Patient `k` depends on the seed and on `k` alone, not on how many patients there are.
    views_per_patient
        Mean number of views, from 1 (CC or MLO) to 2 (both).
    dm_rows, dm_columns
        Pixels of a mammogram under the large paddle; the small one leaves fewer of the same size.
    dbt_size
        Rows and columns of a slice. Its field of view is the mammogram's, so its pixels need not be square in mm.
    slice_spacing_mm
        Distance of slices.
    scan_angle_deg, projections
        Range of the tube's movement, and the number of exposures in it.
    dose
        Exposure relative to a normal one.
    contrast
        Strength of the finding; 0 inserts none and keeps all else, the labels too.
    label_ambiguity
        Share of patients whose finding looks like the other label.
    density
        Median glandular share of the volume.
    codec
        Of the AVI: ``mjpeg`` (small, slightly lossy), ``ffv1`` or ``raw`` (exact).
    """

    patients: int = 240
    seed: int = 2019
    views_per_patient: float = 1.25
    dm_rows: int = 512
    dm_columns: int = 416
    dbt_size: int = 256
    slice_spacing_mm: float = 2.0
    scan_angle_deg: float = 15.0
    projections: int = 15
    dose: float = 1.0
    contrast: float = 1.0
    label_ambiguity: float = 0.06
    density: float = 0.15
    codec: str = "mjpeg"


@dataclass(frozen=True)
class Patient:
    """One simulated patient, one breast, one finding.

    Parameters
    ----------
    index
        From 0; with the seed it decides everything.
    label, look
        Result of the biopsy, and what the finding looks like.
    depth_mm, half_width_mm, thickness_mm
        Of the compressed breast: chest wall to nipple, nipple to the sides, and between the paddles.
    density
        Glandular share of the volume.
    position
        Of the finding in unit coordinates of the breast: toward the nipple (0 chest wall, 1 nipple), lateral and
        superior (in half widths).
    radius_mm
        Of the finding.
    """

    index: int
    seed: int
    label: Label
    look: Label
    laterality: Laterality
    views: tuple[View, ...]
    depth_mm: float
    half_width_mm: float
    thickness_mm: float
    density: float
    finding: FindingType
    position: tuple[float, float, float]
    radius_mm: float

    @property
    def patient_id(self) -> str:
        """Pseudonym, such as ``P0001``."""
        return f"P{self.index + 1:04d}"

    def case_id(self, view: View) -> str:
        """Name of the pair, as in ``cases.csv``."""
        return f"{self.patient_id}-{self.laterality}-{view}"

    def generator(self, purpose: str) -> np.random.Generator:
        """Return a stream of random numbers for one purpose, independent of every other purpose."""
        return np.random.default_rng([self.seed, self.index, *purpose.encode()])


def patients(settings: PhantomSettings) -> list[Patient]:
    """Draw the patients of a cohort."""
    return [_draw_patient(index, settings) for index in range(settings.patients)]


def _draw_patient(index: int, settings: PhantomSettings) -> Patient:
    rng = np.random.default_rng([settings.seed, index])
    label = Label.MALIGNANT if rng.random() < MALIGNANT_SHARE else Label.BENIGN
    atypical = rng.random() < settings.label_ambiguity
    look = label if not atypical else {Label.BENIGN: Label.MALIGNANT, Label.MALIGNANT: Label.BENIGN}[label]
    finding = _draw_finding_type(rng.random(), look)
    depth = _bounded_normal(rng, DEPTH_MM)
    return Patient(
        index=index,
        seed=settings.seed,
        label=label,
        look=look,
        laterality=Laterality.LEFT if rng.random() < 0.5 else Laterality.RIGHT,
        views=_draw_views(rng, settings.views_per_patient),
        depth_mm=depth,
        half_width_mm=depth * rng.uniform(0.90, 1.10),
        thickness_mm=_bounded_normal(rng, THICKNESS_MM),
        density=_bounded_log_normal(rng, (settings.density, *DENSITY)),
        finding=finding,
        position=_draw_position(rng),
        radius_mm=_bounded_log_normal(rng, RADIUS_MM),
    )


def _draw_finding_type(uniform: float, look: Label) -> FindingType:
    shares = FINDING_SHARES[look]
    chosen = int(np.searchsorted(np.cumsum(list(shares.values())), uniform, side="right"))
    return list(shares)[min(chosen, len(shares) - 1)]


def _draw_views(rng: np.random.Generator, views_per_patient: float) -> tuple[View, ...]:
    both, first = rng.random(2)
    if both < views_per_patient - 1:
        return (View.CC, View.MLO)
    return (View.CC,) if first < 0.5 else (View.MLO,)


def _draw_position(rng: np.random.Generator) -> tuple[float, float, float]:
    # In both views this cylinder about the nipple's axis is inside the breast and clear of the pectoral muscle.
    toward_nipple = rng.uniform(0.35, 0.78)
    radius, angle = 0.33 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    return float(toward_nipple), float(radius * np.cos(angle)), float(radius * np.sin(angle))


def _bounded_normal(rng: np.random.Generator, law: tuple[float, float, float, float]) -> float:
    mean, deviation, low, high = law
    return float(np.clip(rng.normal(mean, deviation), low, high))


def _bounded_log_normal(rng: np.random.Generator, law: tuple[float, float, float, float]) -> float:
    median, spread, low, high = law
    return float(np.clip(median * np.exp(spread * rng.normal()), low, high))
