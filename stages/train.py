"""Train the three heads of one backbone, fold by fold, and let each test the patients it has not seen."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table
from dmdbt.files import whole_folder, write_rows
from dmdbt.steps.train import train_folds
from stages._entry import run


def main(
    backbone: str,
    cases: Path,
    split: Path,
    features: Path,
    models: Path,
    probabilities: Path,
    copies: Path,
    history: Path,
    folds: params.Split,
    heads: params.Heads,
    settings: params.Train,
) -> None:
    """Write the heads of every tested fold, the probabilities of its test pairs, and the loss of every epoch.

    `probabilities` are those of the original images; `copies` has those of every augmented copy too, one row each.
    """
    with whole_folder(models) as folder:
        tested, losses = train_folds(backbone, read_table(cases), split, features, folder, folds, heads, settings)
    originals = [row for row in tested if row["copy"] == "original"]
    columns = list(tested[0])
    write_rows(copies, columns, [row.values() for row in tested])
    columns.remove("copy")
    write_rows(probabilities, columns, [[row[name] for name in columns] for row in originals])
    write_rows(history, list(losses[0]), [row.values() for row in losses])


if __name__ == "__main__":
    run(main)
