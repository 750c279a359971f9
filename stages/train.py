"""Train the three heads of one backbone, fold by fold, and let each test the patients it has not seen."""

from pathlib import Path

from dmdbt.cohort import read_table
from dmdbt.entry import run
from dmdbt.files import write_json
from dmdbt.steps.train import TrainInputs, computed_on, train_folds, write_probabilities, write_rows_of


def main(
    inputs: TrainInputs,
    probabilities: Path,
    models: Path | None = None,
    copies: Path | None = None,
    losses: Path | None = None,
    record: Path | None = None,
) -> None:
    """Write the heads of every tested fold, the probabilities of its test pairs, and the loss of every epoch.

    `probabilities` are those of the original images; `copies` has those of every augmented copy too, one row each;
    `record` says on which device and in which precision features and heads were computed. Processes that ``torchrun``
    has started train together; the first of them writes.
    """
    cases = read_table(inputs.cases)
    tested, curves = train_folds(inputs, cases, models)
    if not tested:
        return
    write_probabilities(probabilities, tested)
    if copies:
        write_rows_of(copies, tested)
    if losses:
        write_rows_of(losses, curves)
    if record:
        write_json(record, computed_on(inputs, cases[0]))


if __name__ == "__main__":
    run(main)
