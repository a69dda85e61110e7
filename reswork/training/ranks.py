"""The seam for several processes that train one run together; for one process nothing here does anything."""

import json
import os
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from inspect import signature
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from reswork.errors import InvalidSetting
from reswork.training.heartbeats import Heartbeats, RankProcess
from reswork.training.progress import TrainingState

T = TypeVar("T")

_MEET_S = 60.0  # that the ranks may take to find each other
_FOR_EVER = timedelta(
    days=365
)  # a pause may be long; a rank that dies is told by its connections and heartbeats
_STORE_S = 5.0  # it may have gone with torchrun
_WORDS_S = 3.0  # from a lost connection to what the lost rank said
_END_S = 25.0  # that the others wait for the first rank to have written the run
_KEEPS_BUFFERS: dict[str, Any] = {  # the first name from torch 2.14 on
    "forward_sync_buffers"
    if "forward_sync_buffers" in signature(DistributedDataParallel).parameters
    else "broadcast_buffers": False
}
_MESSAGE = 1024  # bytes of a message that needs one broadcast only


class RankFailed(RuntimeError):
    """Another process of the run failed or died; the weights are those before this step."""


class Ranks:
    """The processes that train one run together. This class is one process for itself: all it does is nothing.

    Attributes:
        index: of this process, from 0.
        count: of processes.
    """

    index = 0
    count = 1

    @property
    def is_first(self) -> bool:
        """Whether this one has the recorders, the folder, the moments and the buttons."""
        return self.index == 0

    def device_name(self, wanted: str) -> str:
        """The device that this rank takes, where the recipe wants that one."""
        return wanted

    def share(self, count: int) -> slice:
        """Which of so many images are this rank's."""
        return slice(count * self.index // self.count, count * (self.index + 1) // self.count)

    def agree(self, values: T) -> T:
        """The first rank's JSON values, on all ranks; each waits here for the first."""
        return values

    def agreed_state(self, state: TrainingState | None) -> TrainingState | None:
        """The first rank's state to go on from, on all ranks."""
        return state

    def sum(self, *values: Tensor) -> tuple[Tensor, ...]:
        """The sums over all ranks of () float32 tensors on the run's device; all ranks get the same."""
        return values

    def outputs(self, own: Tensor | None, sizes: Sequence[int]) -> Sequence[Tensor]:
        """What the ranks computed, on the first one; nothing on the others.

        Args:
            own: (N, ...) float32 of this rank; None: there is none.
            sizes: N of each rank that has one.
        """
        return [] if own is None else [own]

    def replicated(self, model: nn.Module) -> nn.Module:
        """The model to compute with: its gradients become the means over all ranks while they are computed."""
        return model

    def without_sum(self, replicated: nn.Module) -> AbstractContextManager[None]:
        """Within it gradients are kept back, for all parts of a batch but the last one."""
        return nullcontext()

    def joined_norms(self, model: nn.Module) -> AbstractContextManager[None]:
        """Within it batch norms of a GPU use the statistics of the whole batch."""
        return nullcontext()

    def even_statistics(self, model: nn.Module) -> None:
        """Give all ranks the mean of their batch norms' running statistics."""

    @contextmanager
    def together(self, device: torch.device) -> Iterator[None]:
        """The time in which they compute together; the end of one, and its reason, is told to the others."""
        yield

    def sentence(self, model: nn.Module) -> str:
        """What a person should know about it; ``""`` for one process."""
        return ""


class ProcessRanks(Ranks):
    """Ranks under torchrun: they talk over gloo between the steps, and over gloo or NCCL within them.

    Args:
        store: that all ranks reach.
        index: of this process.
        count: of processes.
        local: index and count of the processes on this machine.
    """

    def __init__(self, store: dist.Store, index: int, count: int, local: tuple[int, int]) -> None:
        self.index, self.count, self._local = index, count, local
        self._store = dist.PrefixStore("reswork", store)
        self._store.set(f"process/{index}", RankProcess.here().to_json())
        dist.init_process_group(
            "gloo", store=store, rank=index, world_size=count, timeout=timedelta(seconds=_MEET_S)
        )
        self._control: dist.ProcessGroup | None = _group("gloo")  # between the steps
        self._data: dist.ProcessGroup | None = self._control  # within them
        processes = [RankProcess.from_json(self._store.get(f"process/{rank}")) for rank in range(count)]
        store.set_timeout(timedelta(seconds=_STORE_S))
        self._heartbeats = Heartbeats(self._store, index, processes)
        self._processes, self._has_left = processes, False
        warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)  # those of 1x1 planes

    def device_name(self, wanted: str) -> str:
        """Each rank of a machine its own GPU, where there are so many."""
        found = torch.accelerator.current_accelerator(check_available=True)
        if found is None or found.type != "cuda" or wanted not in ("auto", "cuda"):
            if wanted.startswith("cuda:"):
                raise InvalidSetting(
                    "device", f"device={wanted!r} is one GPU for {self.count} ranks; choose 'cuda' or 'cpu'"
                )
            return wanted
        return f"cuda:{self._local[0] % torch.accelerator.device_count()}"

    def agree(self, values: T) -> T:
        """As `Ranks.agree`.

        Raises:
            RuntimeError: if the connection to a rank is lost.
        """
        content = json.dumps(values).encode() if self.is_first else b""
        head = len(content).to_bytes(8, "little") + content[: _MESSAGE - 8]
        message = torch.frombuffer(bytearray(head.ljust(_MESSAGE, b"\0")), dtype=torch.uint8)
        self._broadcast(message)
        told = bytes(message.tolist())
        length, known = int.from_bytes(told[:8], "little"), told[8:]
        if length > len(known):
            rest = torch.frombuffer(
                bytearray(content[len(known) :] or bytes(length - len(known))), dtype=torch.uint8
            )
            self._broadcast(rest)
            known += bytes(rest.tolist())
        agreed: T = json.loads(known[:length])
        return agreed

    def agreed_state(self, state: TrainingState | None) -> TrainingState | None:
        """As `Ranks.agreed_state`; what only the first rank's recorders need stays there."""
        tensors = {} if state is None else {
            name: value.detach().cpu().contiguous()
            for name, value in state.tensors.items()
            if not name.startswith("recorder/")
        }  # fmt: skip
        values = {} if state is None else {k: v for k, v in state.values.items() if k != "recorders"}
        shapes = [[name, str(value.dtype), list(value.shape)] for name, value in tensors.items()]
        told: Any = self.agree(
            None if state is None else {"step": state.step, "values": values, "shapes": shapes}
        )
        if told is None:
            return None
        for name, kind, shape in told["shapes"]:
            value = tensors.setdefault(
                name, torch.empty(shape, dtype=getattr(torch, kind.removeprefix("torch.")))
            )
            if value.numel():
                self._broadcast(value.view(-1).view(torch.uint8))
        return state if state is not None else TrainingState(told["step"], tensors, told["values"])

    def sum(self, *values: Tensor) -> tuple[Tensor, ...]:
        """As `Ranks.sum`."""
        together = torch.stack(values)
        dist.all_reduce(together, group=self._data)
        return tuple(together.unbind())

    def outputs(self, own: Tensor | None, sizes: Sequence[int]) -> Sequence[Tensor]:
        """As `Ranks.outputs`."""
        if not self.is_first:
            if own is not None:
                dist.send(own.cpu().contiguous(), 0, group=self._control)
            return []
        assert own is not None
        found = [own]
        for rank, size in enumerate(sizes[1:], 1):
            other = torch.empty(size, *own.shape[1:], dtype=own.dtype)
            dist.recv(other, rank, group=self._control)
            found.append(other.to(own.device))
        return found

    def replicated(self, model: nn.Module) -> nn.Module:
        """`DistributedDataParallel`; it gives all ranks the first one's weights and statistics."""
        device = next(model.parameters()).device
        for buffer in model.buffers():
            dist.broadcast(buffer, 0, group=self._data)
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            process_group=self._data,
            **_KEEPS_BUFFERS,  # `even_statistics` looks after them
        )

    def without_sum(self, replicated: nn.Module) -> AbstractContextManager[None]:
        """DDP's ``no_sync``."""
        assert isinstance(replicated, DistributedDataParallel)
        return replicated.no_sync()

    @contextmanager
    def joined_norms(self, model: nn.Module) -> Iterator[None]:
        """`SyncBatchNorm` with the tensors of each batch norm; copies of the model know nothing of it."""
        norms = _batch_norms(model) if _joins_norms(model) else []
        try:
            for norm in norms:
                norm.__dict__["forward"] = self._joined(norm).forward
            yield
        finally:
            for norm in norms:
                norm.__dict__.pop("forward", None)

    def even_statistics(self, model: nn.Module) -> None:
        """As `Ranks.even_statistics`; where norms are joined they are even already."""
        moving = [
            norm for norm in _batch_norms(model) if norm.training
        ]  # those of frozen layers stay as they are
        statistics = [each for norm in moving for each in (norm.running_mean, norm.running_var)]
        found = [each for each in statistics if each is not None]
        if not found or _joins_norms(model):
            return
        flat = torch.cat(found)
        dist.all_reduce(flat, group=self._data)
        flat /= self.count
        torch._foreach_copy_(found, list(flat.split([len(each) for each in found])))

    @contextmanager
    def together(self, device: torch.device) -> Iterator[None]:
        """As `Ranks.together`: a rank that is not the first ends quietly where the first one ends.

        Raises:
            RankFailed: where another rank failed or died.
        """
        try:
            if device.type == "cuda":
                torch.cuda.set_device(device)
                own_gpu_each = self._local[1] <= torch.cuda.device_count()
                self._data = _group("nccl" if own_gpu_each else "gloo")
            yield
            dist.barrier(group=self._control)  # nobody hangs up before all have got all
        except GeneratorExit:
            self.leave(None)
            raise
        except BaseException as error:
            told = self._told_by_others(error)
            self.leave(error if told is error else told)
            if told is None:
                return
            raise told from (None if told is error else error)
        self.leave(None)

    def leave(self, error: BaseException | None) -> None:
        """Say why, and hang up; whoever waits for this rank is woken by that."""
        if self._has_left:
            return
        self._has_left = True
        words = None if error is None else f"{type(error).__name__}: {error}"
        self._say("left", words)
        self._control, self._data = None, None
        dist.destroy_process_group()

    def close(self) -> None:
        """The run is over and written. The others wait for that, as torchrun ends all when one has failed."""
        self.leave(None)
        if self.is_first:
            self._say("written", None)
        end = time.monotonic() + _END_S
        while not self.is_first and time.monotonic() < end and self._processes[0].may_live:
            if self._heard(0, "written") is not None:
                break
            time.sleep(0.05)
        self._heartbeats.stop()

    def sentence(self, model: nn.Module) -> str:
        """How many, and what their batch norms do."""
        text = f"{self.count} ranks"
        if not _batch_norms(model):
            return text
        whose = "of the whole batch" if _joins_norms(model) else "of each rank's own part of a batch"
        return f"{text}, batch norm with the statistics {whose}"

    def _broadcast(self, tensor: Tensor) -> None:
        dist.broadcast(tensor, 0, group=self._control)

    def _joined(self, norm: _BatchNorm) -> nn.SyncBatchNorm:
        joined = nn.SyncBatchNorm(
            norm.num_features,
            norm.eps,
            norm.momentum,
            norm.affine,
            norm.track_running_stats,
            self._data,
            device="meta",
        )
        joined._parameters, joined._buffers, joined.training = norm._parameters, norm._buffers, norm.training
        return joined

    def _told_by_others(self, error: BaseException) -> BaseException | None:
        """The error itself, or for a lost connection why it was lost; None where the first rank has just ended."""
        if not _is_lost_connection(error):
            return error
        end = time.monotonic() + _WORDS_S
        others = [rank for rank in range(self.count) if rank != self.index]
        while True:
            heard = {rank: self._heard(rank, "left") for rank in others}
            if heard.get(0) is not None:  # it tells people
                return None
            for rank, words in heard.items():
                if words is not None:
                    return RankFailed(
                        f"Rank {rank} of {self.count} failed: {(words[0] or 'it ended').rstrip('.')}. {_REMEDY}"
                    )
            gone = [rank for rank in others if not self._processes[rank].may_live]
            if gone or time.monotonic() > end:
                break
            time.sleep(0.05)
        who = f"Rank {gone[0]} of {self.count} ({self._processes[gone[0]]})" if gone else "Another rank"
        return RankFailed(
            f"{who} ended without a word; where nobody ended it, memory ran out: try a smaller batch. {_REMEDY}"
        )

    def _say(self, what: str, words: str | None) -> None:
        try:
            self._store.set(f"{what}/{self.index}", json.dumps([words]))
        except (RuntimeError, dist.DistError):  # torchrun has gone, and its store with it
            return

    def _heard(self, rank: int, what: str) -> list[str | None] | None:
        try:
            key = f"{what}/{rank}"
            return json.loads(self._store.get(key)) if self._store.check([key]) else None
        except (RuntimeError, dist.DistError):
            return None


_REMEDY = "The run goes on from its last checkpoint, with any number of ranks."
ALONE = Ranks()


def disregard_signals() -> None:
    """Let a rank that is not the first end with the first one only, whatever a terminal or torchrun asks of all."""
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)


@contextmanager
def torchrun_ranks() -> Iterator[Ranks]:
    """The ranks that torchrun started, of which this process is one; `Ranks` where it did not.

    Raises:
        InvalidSetting: if torchrun was told to restart ranks; started anew they hung.
    """
    if not dist.is_torchelastic_launched() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield ALONE
        return
    if os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0":
        raise InvalidSetting(
            "max_restarts",
            "torchrun --max-restarts starts ranks that may hang; choose --max-restarts 0 and go on with "
            "reswork train --resume, with any number of ranks",
        )
    local = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    file = os.environ.get("RESWORK_RANKS_STORE")
    count = int(os.environ["WORLD_SIZE"])
    if file:
        store, index = dist.FileStore(file, count), int(os.environ["RANK"])
    else:
        store, index, count = next(dist.rendezvous("env://", timeout=timedelta(seconds=_MEET_S)))
    ranks = ProcessRanks(store, index, count, local)
    try:
        yield ranks
    except BaseException as error:
        ranks.leave(error)
        raise
    finally:
        ranks.close()


def _group(backend: str) -> dist.ProcessGroup:
    group = dist.new_group(backend=backend, timeout=_FOR_EVER)
    assert isinstance(group, dist.ProcessGroup)
    return group


def _batch_norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def _joins_norms(model: nn.Module) -> bool:
    """`SyncBatchNorm` is for GPUs only."""
    return next(model.parameters()).device.type == "cuda"


def _is_lost_connection(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and ("gloo" in str(error).lower() or "nccl" in str(error).lower())
    )
