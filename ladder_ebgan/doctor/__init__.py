"""What this machine and this installation offer to a run, what is missing, and how to get it."""

from collections.abc import Callable, Mapping
from functools import partial

from ladder_ebgan.doctor.environment import variables
from ladder_ebgan.doctor.files import mnist, output_folder
from ladder_ebgan.doctor.finding import Finding, Probe, guarded
from ladder_ebgan.doctor.hardware import cores, gpus, memory, processor
from ladder_ebgan.doctor.software import compiler, locks, package_versions
from ladder_ebgan.doctor.start import choices

__all__ = ["Finding", "Findings", "examine", "works"]

Findings = dict[str, list[Finding]]  # by section


def examine(options: Mapping[str, str], notice: Callable[[str], None] = lambda _: None) -> Findings:
    """Look at everything.

    Args:
        options: every option of the command line, by the name of the variable that can stand for it.
        notice: told what is being done where that takes some seconds.
    """
    sections: dict[str, dict[str, Probe]] = {
        "Machine": {"processor": processor, "cores": cores, "memory": memory, "GPU": gpus},
        "Installation": {
            "system": locks,
            "packages": package_versions,
            "C++": partial(compiler, notice),
        },
        "Files": {"MNIST": mnist, "output": output_folder},
        "Environment": {"variables": partial(variables, options)},
        "A run would use": {"choice": choices},
    }
    return {
        section: [finding for topic, probe in probes.items() for finding in guarded(topic, probe)]
        for section, probes in sections.items()
    }


def works(findings: Findings) -> bool:
    """Return whether a run with default options would work."""
    return not any(one.necessary and one.status == "missing" for section in findings.values() for one in section)
