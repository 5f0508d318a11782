"""Draws milliseconds a replica-step over the number of replicas at once, with the floor, from `bench --json`.

ladder-ebgan bench --replicas 1,2,4,8 --json > bench.json
python benchmarks/replicas_figure.py bench.json docs/images/replica_step.png
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure


def draw(bench: dict) -> Figure:
    """Return the figure: one panel a phase."""
    figure = Figure(figsize=(4 * len(bench["phases"]), 3.2), layout="constrained")
    panels = figure.subplots(1, len(bench["phases"]), squeeze=False)[0]
    for panel, phase in zip(panels, bench["phases"], strict=True):
        at_once = [result["n_replicas"] for result in phase["engine"]]
        for label, key, style in (("measured", "ms", "o-"), ("floor", "floor_ms", "s--")):
            panel.plot(at_once, [r[key] / r["n_replicas"] for r in phase["engine"]], style, label=label)
        if phase["plain"] is not None:
            panel.axhline(phase["plain"]["ms"], color="gray", linestyle=":", label="plain, one replica")
        panel.set_xscale("log", base=2)
        panel.set_xticks(at_once, [str(n) for n in at_once])
        panel.set_ylim(bottom=0)
        panel.set(title=f"{phase['phase']} step", xlabel="replicas at once", ylabel="ms a replica-step")
        panel.legend(frameon=False)
    figure.suptitle(f"{bench['device']}, {bench['precision']}", fontsize="small")
    return figure


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).savefig(sys.argv[2], dpi=150)
