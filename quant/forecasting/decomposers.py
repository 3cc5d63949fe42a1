"""Where the batched decompositions run: numpy here, torch or CuPy on a graphics card.

Belongs here: sums of lag covariances over groups and their eigenvectors, on one device or another.
Does not belong here: choosing ranks. All devices compute in double precision; eigenvalues agree to
1e-10 of the largest one, and so do recurrences where the chosen rank has a gap below it. The card's
numbers are not promised bit for bit, so a book that must replay exactly states `device="cpu"`.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, Protocol

import numpy as np

from quant.core.errors import UsageError
from quant.forecasting.kernels import IntArray
from quant.market.panel import FloatArray

Device = Literal["auto", "cpu", "cuda"]


class Decomposer(Protocol):
    """Eigenvalues, ascending, and eigenvectors of the summed covariances of each group."""

    @property
    def name(self) -> str:
        """Stands in the record of a fit."""
        ...

    def eigen(self, columns: FloatArray, group: IntArray) -> tuple[FloatArray, FloatArray]:
        """From (paths, columns, window) and each path's group: (groups, window[, window])."""
        ...


@dataclass(frozen=True, slots=True)
class NumpyDecomposer:
    """One core, the same bits every time."""

    name: str = "cpu"

    def eigen(self, columns: FloatArray, group: IntArray) -> tuple[FloatArray, FloatArray]:
        """Group sums in the order of the paths."""
        products = np.swapaxes(columns, 1, 2) @ columns
        sums = np.zeros((int(group.max(initial=-1)) + 1, *products.shape[1:]))
        np.add.at(sums, group, products)
        values, vectors = np.linalg.eigh(sums)
        return values, vectors


@dataclass(frozen=True, slots=True)
class TorchDecomposer:
    """torch on the device it is told; group sums as a product, whose order is fixed."""

    torch: ModuleType
    device: str = "cuda"

    @property
    def name(self) -> str:
        """Library and device."""
        return f"torch:{self.device}"

    def eigen(self, columns: FloatArray, group: IntArray) -> tuple[FloatArray, FloatArray]:
        """There and back in one piece."""
        torch = self.torch
        there = torch.as_tensor(columns, dtype=torch.float64, device=self.device)
        members = torch.as_tensor(_membership(group), dtype=torch.float64, device=self.device)
        products = there.transpose(1, 2) @ there
        sums = (members @ products.flatten(1)).reshape(len(members), *products.shape[1:])
        values, vectors = torch.linalg.eigh(sums)
        return values.cpu().numpy(), vectors.cpu().numpy()


@dataclass(frozen=True, slots=True)
class CupyDecomposer:
    """CuPy on its current device."""

    cupy: ModuleType

    @property
    def name(self) -> str:
        """Library and device."""
        return "cupy:cuda"

    def eigen(self, columns: FloatArray, group: IntArray) -> tuple[FloatArray, FloatArray]:
        """There and back in one piece."""
        cupy = self.cupy
        there = cupy.asarray(columns)
        products = there.transpose(0, 2, 1) @ there
        members = cupy.asarray(_membership(group))
        sums = (members @ products.reshape(len(products), -1)).reshape(
            len(members), *products.shape[1:]
        )
        values, vectors = cupy.linalg.eigh(sums)
        return cupy.asnumpy(values), cupy.asnumpy(vectors)


def decomposer_for(device: Device) -> Decomposer:
    """The decomposer for a device; "auto" takes a card where a library finds one."""
    if device == "cpu":
        return NumpyDecomposer()
    found = _torch_decomposer() or _cupy_decomposer()
    if found is None and device == "cuda":
        raise UsageError(
            'device "cuda" was asked for, and neither torch nor CuPy finds one here',
            remedy='install one of them beside a CUDA driver, or use device "auto" or "cpu"',
        )
    return found or NumpyDecomposer()


def _torch_decomposer() -> Decomposer | None:
    if importlib.util.find_spec("torch") is None:
        return None
    torch = importlib.import_module("torch")
    return TorchDecomposer(torch) if torch.cuda.is_available() else None


def _cupy_decomposer() -> Decomposer | None:
    if importlib.util.find_spec("cupy") is None:
        return None
    cupy = importlib.import_module("cupy")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        return None  # CuPy's way to say that there is no driver
    return CupyDecomposer(cupy) if count else None


def _membership(group: IntArray) -> FloatArray:
    members = np.zeros((int(group.max(initial=-1)) + 1, len(group)))
    members[group, np.arange(len(group))] = 1.0
    return members
