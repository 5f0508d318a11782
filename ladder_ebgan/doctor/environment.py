"""Looks at the environment variables that a run heeds, or that somebody may believe it does."""

import difflib
import os
from collections.abc import Iterator, Mapping

from ladder_ebgan.doctor.finding import Finding

PREFIXES = ("GOMP_", "LADDER_EBGAN_", "OMP_")
OWN_SPINCOUNT = "3000"  # that the command line sets for itself
BINDS = "binds threads to cores, so that a run sees fewer cores than there are"

HARMLESS = {
    "CUDA_VISIBLE_DEVICES": "the GPUs that PyTorch may see",
    "CXX": "the C++ compiler",
    "LADDER_EBGAN_NO_GRAPH": "with 1 a GPU carries out each step anew instead of recording it, which is slower",
    "NO_COLOR": "no colour, no animation",
    "XDG_CACHE_HOME": "where the kernels are kept",
}
DOUBTFUL = {
    "GOMP_CPU_AFFINITY": BINDS,
    "OMP_NUM_THREADS": "not heeded: a run takes a thread for each core it may use, and taskset limits these",
    "OMP_PLACES": BINDS,
    "OMP_PROC_BIND": BINDS,
    "OMP_THREAD_LIMIT": "no more threads than this are started, whatever a run chooses",
    "OMP_WAIT_POLICY": "passive makes a step longer, active far longer as soon as another process is busy",
}


def variables(options: Mapping[str, str]) -> Iterator[Finding]:
    """Look at each variable that is set; `options` has what each of those for an option stands for."""
    for name, value in sorted(os.environ.items()):
        if name in HARMLESS or name.startswith(PREFIXES):
            said, doubtful = _judged(name, value, options)
            to_do = f"unset {name}" if doubtful else ""
            yield Finding(name, "note" if doubtful else "ok", f"{value!r}: {said}", to_do, values={"value": value})


def _judged(name: str, value: str, options: Mapping[str, str]) -> tuple[str, bool]:
    """Return what a variable does, and whether it had better not be set."""
    if name in options:
        return options[name], False
    if name.startswith("LADDER_EBGAN_") and name not in HARMLESS:
        close = difflib.get_close_matches(name, options, n=1)
        return "no option has this name" + (f"; did you mean {close[0]}?" if close else ""), True
    if name in DOUBTFUL and (name, value.lower()) != ("OMP_PROC_BIND", "false"):
        return DOUBTFUL[name], True
    if (name, value) == ("GOMP_SPINCOUNT", OWN_SPINCOUNT):
        return "set by ladder-ebgan; threads that wait for each other spin so often before they sleep", False
    return HARMLESS.get(name, "passed on to OpenMP"), False
