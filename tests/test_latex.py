import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_results import result, results, two_models

from ladder_ebgan.report.latex import escape, table_latex
from ladder_ebgan.report.table import build_table
from ladder_ebgan.results import Result

NASTY = '[my]_50%&#{x}~^ \\bad <a|b> `q\' "z" a--b ---c $x$ é * -3 et al. 2'
TOKENS = {  # what `escape` may write, and what it prints
    **{f"\\{character}": character for character in "&%$#_{}"},
    **{r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<"},
    **{r"\textgreater{}": ">", r"\textbar{}": "|", r"\textasciigrave{}": "`", "''": '"', "{[}": "[", "{*}": "*"},
    **{r"$\pm$": "±", "$+$": "+", "$-$": "-", "--": "–", "--{}": "–", "-{}": "-", "~": " "},
}


def printed(latex: str) -> str:
    """What LaTeX prints; no character that is special to it may stand outside a token."""
    token = "|".join(re.escape(token) for token in sorted(TOKENS, key=len, reverse=True))
    assert re.fullmatch(f'(?:{token}|[^&%$#_{{}}\\\\~^<>|`"\\[*])*', latex), latex
    return re.sub(token, lambda match: TOKENS[match[0]], latex)


def body(latex: str) -> list[str]:
    return latex.partition("\\toprule\n")[2].splitlines()


def caption(latex: str) -> list[str]:
    return [line.strip() for line in latex.partition("{%\n")[2].partition("%\n}\n")[0].splitlines()]


def test_escape_by_hand() -> None:
    assert escape("50_% & #{x}") == r"50\_\% \& \#\{x\}"
    assert escape("1.00 ± 0.20 (3)") == r"1.00 $\pm$ 0.20 (3)"
    assert escape("[-0.30, +0.10] in (-2) of a-3, ebgan-ladder, 5-6") == (
        r"{[}$-$0.30, $+$0.10] in ($-$2) of a-3, ebgan-ladder, 5-6"
    )
    assert escape("a---b") == "a-{}-{}-b"
    assert escape("a-–-b") == "a-{}--{}-b"
    assert escape("5 % of Rasmus et al. 2015, medal. 3") == r"5~\% of Rasmus et al.~2015, medal. 3"
    assert escape(" two\n\nlines\x00\x7f\t") == "two lines"


@given(st.text(st.sampled_from(string.printable.replace("'", "") + "–±é"), max_size=12))
def test_what_is_escaped_is_printed_as_it_was(text: str) -> None:
    assert printed(escape(text)) == " ".join(text.split())


def test_table_by_hand() -> None:
    """Differences -1, -2, -3 of 4, 4, 10: see the test of the paired comparison."""
    rows = [*two_models(), *results({"ladder": [1.5]}, 1000)]
    assert body(table_latex(build_table(rows, "digits"))) == [
        r"Model & 100 labels & 1000 labels \\",
        r"\midrule",
        r"ladder & 6.00 $\pm$ 3.46 (3) & 1.50 (1) \\",
        r"ebgan-ladder & 4.00 $\pm$ 2.65 (3) & -- \\",
        r"\midrule",
        r"\multicolumn{3}{l}{ebgan-ladder against ladder} \\",
        r"\quad difference & $-$2.00 (3) & -- \\",
        r"\quad 95~\% interval & {[}$-$4.48, $+$0.48] & -- \\",
        r"\quad relative improvement & 33.3~\% & -- \\",
        r"\quad paired t test, p & 0.074 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_a_comparison_has_a_row_for_each_number_that_is_known() -> None:
    """The comparison of `test_comparison_line_by_hand`; with 0 errors of the baseline nothing is relative to it."""
    rows = results({"ladder": [2.0] * 6, "ebgan-ladder": [1.9, 1.8, 1.7, 1.6, 1.5, 1.4]}, 50)
    rows += results({"ladder": [0.0], "ebgan-ladder": [1.0]}, 20)
    assert body(table_latex(build_table(rows, "digits")))[5:-3] == [
        r"\multicolumn{3}{l}{ebgan-ladder against ladder} \\",
        r"\quad difference & $+$1.00 (1) & $-$0.35 (6) \\",
        r"\quad 95~\% interval & -- & {[}$-$0.55, $-$0.15] \\",
        r"\quad relative improvement & -- & 17.5~\% \\",
        r"\quad paired t test, p & -- & 0.0059 \\",
        r"\quad Wilcoxon test, p & -- & 0.031 \\",
    ]


def test_a_variant_has_a_corrected_p() -> None:
    """Differences 1, 2, 3 and 0, 0, 0: p = 0.0742, twice that for two variants."""
    rows = results({"ladder": [1.0, 2.0, 4.0], "noise": [2.0, 4.0, 7.0], "same": [1.0, 2.0, 4.0]})
    latex = table_latex(build_table(rows, "digits", variants={"noise": "ladder", "same": "ladder"}))
    lines = body(latex)
    at = lines.index(r"\multicolumn{2}{l}{noise against ladder} \\")
    assert lines[at + 4 : at + 6] == [
        r"\quad paired t test, p & 0.074 \\",
        r"\quad paired t test, p (Holm) & 0.15 \\",
    ]
    assert sum("Holm" in line for line in lines) == 1
    assert any("by Holm's method for all 2 variants that were tried." in line for line in caption(latex))


def test_each_pair_of_models_is_a_block() -> None:
    """As many seeds as a p-value below what is shown takes: 15 of one sign have p = 2 / 2^15 = 0.00006."""
    rows = results({"ladder": [2.0] * 15, "ladder-matched": [1.0] * 15, "other": [3.0] * 15})
    lines = body(table_latex(build_table(rows, "digits")))
    assert [line for line in lines if "against" in line] == [
        r"\multicolumn{2}{l}{ladder-matched against ladder} \\",
        r"\multicolumn{2}{l}{other against ladder} \\",
    ]
    assert lines.count(r"\midrule") == 3
    assert lines.count(r"\quad Wilcoxon test, p & \textless{} 0.0001 \\") == 2


def test_the_papers_rows_are_marked_with_their_source() -> None:
    latex = table_latex(build_table(two_models(), "mnist"))
    assert body(latex)[:7] == [
        r"Model & 100 labels & 200 labels & 1000 labels \\",
        r"\midrule",
        r"LN bottom-layer-cost$^{a}$ & 1.69 $\pm$ 0.18 (10) & -- & 1.05 $\pm$ 0.02 (10) \\",
        r"LN bottom-layer-cost$^{b}$ & 1.09 $\pm$ 0.32 (10) & -- & 0.90 $\pm$ 0.05 (10) \\",
        r"LN bottom-layer-cost$^{c}$ & 1.36 $\pm$ 0.21 (15) & 1.24 $\pm$ 0.09 (15) & 1.04 $\pm$ 0.06 (15) \\",
        r"EBGAN-LN$^{c}$ & 1.04 $\pm$ 0.12 (15) & 0.99 $\pm$ 0.12 (15) & 0.89 $\pm$ 0.04 (15) \\",
        r"\midrule",
    ]
    assert caption(latex)[1] == (
        "Marked rows are those reported in Table 2 of Zhao et al.~2017 ($^{a}$Pezeshki et al.~2015, "
        r"$^{b}$Rasmus et al.~2015, $^{c}$Zhao et al.~2017); the $\pm$ of Pezeshki et al.~is a standard error, "
        r"that of the other papers is not known."
    )


def test_the_caption_says_what_the_numbers_are() -> None:
    """6 % and 4 % of 900 images: 0.79 and 0.65 points."""
    rows = [*two_models(), result("ladder", 100, 7, None, 70)]
    lines = caption(table_latex(build_table(rows, "my_digits", n_test=900, recipes=["demo", "mine"])))
    assert lines[0] == (
        r"Test error in \% on my\_digits (recipes demo and mine, seeds 0--2, 7): mean $\pm$ standard deviation "
        "over seeds, the number of seeds in brackets."
    )
    assert lines[1].startswith("Models are compared in pairs of the same seed, which fixes initial weights and, ")
    assert lines[2:] == [
        "100 labels: 1 of 4 seeds of ladder diverged and is left out (seed 7 at step 70).",
        "Intervals and p-values of differences are over seeds, for this test set; only p-values called Holm are "
        "corrected for how many there are.",
        r"Beside $\pm$, the 900 test images, which all seeds share, give our means a standard error of "
        "at most 0.65 to 0.79 points.",
    ]


def test_the_caption_leaves_out_what_is_not_known() -> None:
    lines = caption(table_latex(build_table(results({"ladder": [1.0]}), "digits")))
    assert len(lines) == 1
    assert lines[0].startswith(r"Test error in \% on digits (seed 0): mean")


@pytest.mark.parametrize(
    ("name", "recipes", "label"),
    [
        ("mnist", ["table2"], "mnist-table2"),
        ("my_data", ["a b", "c with changed settings"], "my-data-a-b-c-with-changed-settings"),
        ("数字", [], "test-error"),
    ],
)
def test_labels_are_plain(name: str, recipes: list[str], label: str) -> None:
    assert f"\\label{{tab:{label}}}\n" in table_latex(build_table(two_models(), name, recipes=recipes))


def nasty_rows() -> list[Result]:
    return [result(model, 50, seed, 1.0 + seed) for model in ("[b] a_b", "*y%", "ladder") for seed in range(7)]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_accepts_it(tmp_path: Path) -> None:
    tables = [
        build_table(two_models(), "mnist", n_test=10000, recipes=["demo"]),
        build_table(nasty_rows(), NASTY, n_test=10000, recipes=[NASTY, "b"]),
        build_table([], "digits"),
    ]
    document = "".join(
        [
            r"\documentclass{article}\usepackage{booktabs}\begin{document}\listoftables ",
            *map(table_latex, tables),
            escape(string.printable),
            r"\end{document}",
        ]
    )
    (tmp_path / "paper.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "paper.tex"]
    for _ in range(2):  # the second time with the list of tables
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout
