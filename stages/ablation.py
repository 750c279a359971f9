"""Put the variants of the pooling side by side."""

from pathlib import Path

from dmdbt import params
from dmdbt.ablation.tables import markdown, trial_rows
from dmdbt.cohort import read_stated
from dmdbt.evaluation import Bootstrap, read_probabilities, write_metrics
from dmdbt.files import write_text
from dmdbt.terms import Head, kind_of_cohort
from stages._entry import run


def main(
    counts: Path,
    probabilities: Path,
    metrics: Path,
    table: Path,
    settings: params.Ablation,
    evaluation: params.Evaluation,
) -> None:
    """Read the probabilities of all variants, write their metrics and print their table.

    Parameters
    ----------
    counts
        What the stage ingest wrote: the table says whether the cohort is simulated.
    probabilities
        Folder with a CSV file per variant.
    metrics
        JSON file to write.
    table
        The same in Markdown.
    settings
        Which variants; files of others in `probabilities` are left alone.
    evaluation
        The bootstrap of the intervals.
    """
    tables = {name: read_probabilities(probabilities / f"{name}.csv") for name in settings.variants}
    reference = settings.variants[0]
    rows = trial_rows(tables, head=Head.DBT, reference=reference, bootstrap=Bootstrap(**vars(evaluation)))
    simulated = read_stated(counts).simulated
    kind = kind_of_cohort(simulated)
    content = {
        "format": "dmdbt ablation",
        "version": 1,
        "backbone": settings.backbone,
        "head": Head.DBT.value,
        "folds": sorted({int(fold) for fold in tables[reference]["fold"]}),
        "simulated": simulated,
        "reference": reference,
        "variants": rows,
    }
    write_metrics(metrics, content)
    columns = {"trial": "variant", "auc": "AUC", "acc": "accuracy", "difference": f"difference to {reference}"}
    columns |= {"p_value": "p", "p_holm": "p (Holm)", "n": "pairs", "n_patients": "patients"}
    title = f"The DBT head of {settings.backbone} by the pooling of its slices{kind and f', {kind}'}"
    text = f"{title}\n\n{markdown(rows, columns)}"
    write_text(table, text)
    print(text)


if __name__ == "__main__":
    run(main)
