"""The documentation is what the catalogue says."""

from evaluation.exams import catalogue, folder

RATE_HZ = 22_050
QUICK = ["--only", "chroma,mean_chroma,log_mel,spectral,fad,kld_mfcc"]


def test_the_documentation_holds_the_table_of_figures():
    from pathlib import Path

    page = Path(folder.__file__).parents[2] / "docs" / "evaluation.md"
    assert catalogue.markdown() in page.read_text(encoding="utf-8"), (
        "run: python -m evaluation.exams.catalogue"
    )
