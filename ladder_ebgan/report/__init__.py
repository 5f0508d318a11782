"""What a run is looked at with: the table of error rates (`table`) and the figures (`figures`).

Both are made from the rows of `results.csv` and `history.csv` alone, and importing either is cheap: rich and
matplotlib are loaded by the functions that need them.
"""
