"""Variants of the pooling side by side, each with the DBT head trained on it."""

from pathlib import Path

from dmdbt import params
from dmdbt.ablation.tables import markdown, trial_rows
from dmdbt.cohort import read_stated
from dmdbt.evaluation import Bootstrap, read_probabilities, write_metrics
from dmdbt.files import write_text
from dmdbt.terms import Head, kind_of_cohort


def compare_variants(
    counts: Path,
    probabilities: Path,
    metrics: Path,
    table: Path,
    settings: params.Ablation,
    evaluation: params.Evaluation,
) -> None:
    """Compare all variants with the first; write their metrics, and write and print a table in Markdown.

    Parameters
    ----------
    counts
        What the stage ingest wrote: the table says whether the cohort is simulated.
    probabilities
        Folder with a CSV file per variant; files of others are left alone.
    metrics, table
        Files to write.
    settings, evaluation
        Which variants; the bootstrap of the intervals.
    """
    tables = {name: read_probabilities(probabilities / f"{name}.csv") for name in settings.variants}
    reference = next(iter(settings.variants))
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
    columns = {"trial": "variant", "auc": "AUC", "acc": "accuracy", "difference": f"difference to {reference}"}
    columns |= {"p_value": "p", "p_holm": "p (Holm)", "n": "pairs", "n_patients": "patients"}
    title = f"The DBT head of {settings.backbone} by the pooling of its slices{kind and f', {kind}'}"
    write_metrics(metrics, content)
    write_text(table, text := f"{title}\n\n{markdown(rows, columns)}")
    print(text)
