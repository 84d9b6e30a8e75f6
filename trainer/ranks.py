"""The processes of one training: this one alone, or those that torchrun started, each with a GPU of its own.

Every process goes through the same steps with the same random numbers, and works on its share of each batch; gradients,
statistics and answers are added up over all of them. So the result is that of one process with the same batch. The weights
are not wrapped in DistributedDataParallel: layers are held and freed while it trains, and one process alone may have to
halve its share where memory is short, and neither may change what is sent between them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import msgspec
import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.errors import TrainingError, UsageError
from edgetl.trainer.network import best_device
from edgetl.trainer.statistics import SharedStatistics
from edgetl.trainer.torch_stack import import_timm

_T = TypeVar("_T")


class Rank(msgspec.Struct, frozen=True):
    """One process: what it computes on, its number, and of how many."""

    device: torch.device
    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.number == 0

    @property
    def share(self) -> slice:
        """Its part of a batch."""
        return slice(self.number, None, self.count)

    def agreed(self, value: _T) -> _T:
        """What the first process has for this value."""
        if self.count == 1:
            return value
        values: list[Any] = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        found: _T = values[0]
        return found

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, without a gradient; `values` itself is left alone."""
        found = values.detach().clone()
        if self.count > 1:
            dist.all_reduce(found)
        return found

    def gathered(self, rows: NDArray[np.int64], answer: Callable[[NDArray[np.int64]], Tensor]) -> Tensor:
        """N×values on the CPU for all the rows, of which each process answers its share (rows to rows×values)."""
        if self.count == 1:
            return answer(rows)
        mine = torch.arange(len(rows))[self.share]
        own = answer(rows[self.share]).to(self.device)
        width = int(self.total(torch.tensor([own.shape[1] if len(own) else 0], device=self.device)).max())
        width = own.shape[1] if len(own) else width
        found = torch.zeros(len(rows), width, device=self.device)
        if len(own):
            found[mine.to(self.device)] = own
        dist.all_reduce(found)
        return found.cpu()

    def known_to_all(self, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where all processes say yes."""
        if self.count == 1:
            return known
        found: NDArray[np.bool_] = (
            self.total(torch.from_numpy(known).to(self.device, torch.int64)).cpu().numpy() == self.count
        )
        return found

    def align(self, module: nn.Module) -> None:
        """Gives the module of every process the values of the first one's."""
        if self.count > 1:
            with torch.no_grad():
                for tensor in (*module.parameters(), *module.buffers()):
                    dist.broadcast(tensor, src=0)

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Adds up the gradients of those that learn; where a process had no picture, it adds nothing."""
        if self.count == 1:
            return
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
        flat = torch.cat([gradient.reshape(-1) for gradient in own])
        dist.all_reduce(flat)
        parts = torch.split(flat, [p.numel() for p in learning])
        for parameter, gradient in zip(learning, parts, strict=True):
            parameter.grad = gradient.view(parameter.shape)

    def together(self, work: Callable[[], _T], *, sends: bool) -> _T:
        """The work of every process; where one failed, all of them end, those that did not with a TrainingError.

        `sends`: the work itself sends between processes. The others then wait in its midst for one that failed, which can tell
        them nothing, and ends: torchrun ends them too.
        """
        if self.count == 1 or sends:
            return work()
        failure: TrainingError | None = None
        found: list[_T] = []
        try:
            found.append(work())
        except TrainingError as error:
            failure = error
        failed = self.total(torch.tensor([float(failure is not None)], device=self.device))
        if failure is not None:
            raise failure
        if failed.item() > 0:
            raise TrainingError("another process of this training failed; it says why")
        return found[0]

    def shared_statistics(self) -> AbstractContextManager[object]:
        """While it is entered, batch norm learns from the whole batch; on CUDA `synchronized` sees to that."""
        return SharedStatistics() if self.count > 1 and self.device.type != "cuda" else nullcontext()

    def synchronized(self, network: _T) -> _T:
        """The network with batch norms that learn from the whole batch; the names of its values stay."""
        if self.count == 1 or self.device.type != "cuda":
            return network
        import_timm()
        from timm.layers import convert_sync_batchnorm

        converted: _T = convert_sync_batchnorm(network)
        return converted


ALONE = Rank(torch.device("cpu"))


@contextmanager
def joined(device: str) -> Iterator[Rank]:
    """This process's rank; joins the others where torchrun started it. Raises UsageError."""
    place = best_device(device)
    if "LOCAL_RANK" not in os.environ:
        yield Rank(place)
        return
    if place.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise UsageError(
                f"process {local} has no GPU: there are {torch.cuda.device_count()}; start no more processes"
            )
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Rank(place, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
