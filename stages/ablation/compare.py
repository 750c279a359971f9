"""Put the variants of the pooling side by side."""

from pathlib import Path

from dmdbt import params
from dmdbt.entry import run
from dmdbt.evaluation import Bootstrap, write_metrics
from dmdbt.files import write_text
from dmdbt.steps.ablation import compare_variants


def main(
    counts: Path,
    probabilities: Path,
    metrics: Path,
    table: Path,
    settings: params.Ablation,
    evaluation: params.Evaluation,
) -> None:
    """Read the probabilities of all variants, write their metrics, and write and print their table."""
    content, text = compare_variants(counts, probabilities, settings, Bootstrap(**vars(evaluation)))
    write_metrics(metrics, content)
    write_text(table, text)
    print(text)


if __name__ == "__main__":
    run(main)
