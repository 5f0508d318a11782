"""How a pure function of tensors is run: as it is, or compiled.

A step takes its noise, batch and margin as arguments and branches on no data, so that it can be compiled whole.
"""

import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

MAX_SHAPES = 64  # a function is compiled anew for each number of replicas; torch stops at 8 by default

P = ParamSpec("P")
R = TypeVar("R")


def compiler_missing(device: torch.device) -> str | None:
    """Return why functions cannot be compiled for `device` on this machine, or None if they can."""
    if device.type == "cuda":
        return None
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        return "no C++ compiler was found (g++, or the one that CXX names)"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "the headers of Python were not found (the package python3-dev on Debian and Ubuntu)"
    return None


def prepared(function: Callable[P, R], compiled: bool) -> Callable[P, R]:
    """Return `function` itself, or its compiled form, which gives the same values up to rounding."""
    if not compiled:
        return function
    torch._dynamo.config.recompile_limit = MAX_SHAPES
    return torch.compile(function, dynamic=False, fullgraph=True)
