"""What a run is looked at with: progress while it trains, then the table of error rates and the figures.

Tables and figures are made from the files of a run folder alone, and importing them is cheap: rich and matplotlib
are loaded by the functions that need them.
"""
