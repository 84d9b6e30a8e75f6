"""Optuna keeps what is tried, in a database in the comparison's folder; so a comparison that is cut short can go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgetl.benchmarks.model_comparison.candidate import SEARCHED, Candidate, Trained
from edgetl.errors import EdgetlError

if TYPE_CHECKING:
    import optuna

CANDIDATE, TRAINED, TROUBLE = "candidate", "trained", "trouble"  # what Optuna notes beside a trial
Train = Callable[[Candidate], Trained]
Tell = Callable[[str], None]


class Study:
    """The trials of one comparison. A trial's value is the balanced accuracy on val."""

    def __init__(self, folder: Path, train: Train, jobs: int, seed: int, tell: Tell) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        # Jobs wait for each other's writes; on a slow disk that may take longer than SQLite's usual five seconds.
        waits = {"connect_args": {"timeout": 120}}
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}", engine_kwargs=waits)
        self._train, self._jobs, self._seed, self._tell = train, jobs, seed, tell

    def train_all(self, candidates: Iterable[Candidate]) -> tuple[list[Trained], dict[Candidate, str]]:
        """Trains what is not trained yet, `jobs` side by side: what came of it, and why others did not come to an end."""
        wanted = list(dict.fromkeys(candidates))
        study = self._open("models")
        known = {c for c, _ in _finished(study)}
        waiting = {_candidate(t) for t in study.get_trials(deepcopy=False) if t.state.name == "WAITING"}
        for candidate in wanted:
            if candidate not in known | waiting:
                study.enqueue_trial({}, user_attrs={CANDIDATE: msgspec.to_builtins(candidate)})
        self._train_waiting(study)
        done = dict(_finished(study))
        failed = {c: why for c, why in _failed(study) if c not in done}
        return [done[c] for c in wanted if c in done], {
            c: failed.get(c, "not trained") for c in wanted if c not in done
        }

    def sweep(self, model: str, trials: int) -> list[Trained]:
        """Settings that Optuna's sampler draws for a model, best on val first; those of an earlier call count."""
        study = self._open(f"settings of {model}")
        left = trials - sum(t.state.is_finished() for t in study.get_trials(deepcopy=False))
        if left > 0:
            study.optimize(
                lambda trial: self._drawn(trial, model), n_trials=left, n_jobs=self._jobs, catch=(EdgetlError,)
            )
        return sorted((trained for _, trained in _finished(study)), key=lambda t: -t.val)

    def _open(self, name: str) -> optuna.Study:
        import optuna

        study = optuna.create_study(storage=self._storage, study_name=name, direction="maximize", load_if_exists=True)
        # A sampler that began anew with the same seed would draw again what it drew before the interruption.
        study.sampler = optuna.samplers.TPESampler(
            seed=self._seed + len(study.get_trials(deepcopy=False)), n_startup_trials=5
        )
        return study

    def _train_waiting(self, study: optuna.Study) -> None:
        """All trials that wait, `jobs` side by side; they are asked for one after the other, so that none is given twice."""
        pool = ThreadPoolExecutor(self._jobs)
        try:
            futures = [pool.submit(self._tried, study, study.ask()) for _ in range(_waiting(study))]
            for future in futures:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _tried(self, study: optuna.Study, trial: optuna.Trial) -> None:
        from optuna.trial import TrialState

        try:
            study.tell(trial, self._told(trial, msgspec.convert(trial.user_attrs[CANDIDATE], Candidate)))
        except EdgetlError:
            study.tell(trial, state=TrialState.FAIL)

    def _drawn(self, trial: optuna.Trial, model: str) -> float:
        flags = tuple(
            (flag, trial.suggest_float(flag, low, high, log=log)) for flag, (low, high, log) in SEARCHED.items()
        )
        return self._told(trial, Candidate(model, "tuned", flags))

    def _told(self, trial: optuna.Trial, candidate: Candidate) -> float:
        trial.set_user_attr(CANDIDATE, msgspec.to_builtins(candidate))
        self._tell(f"{candidate.name}: training")
        try:
            trained = self._train(candidate)
        except EdgetlError as error:
            trial.set_user_attr(TROUBLE, str(error))
            self._tell(f"{candidate.name}: {error}")
            raise
        trial.set_user_attr(TRAINED, msgspec.to_builtins(trained))
        self._tell(f"{candidate.name}: {100 * trained.val:.1f} % on val in {trained.seconds:.0f} s")
        return trained.val


def _waiting(study: optuna.Study) -> int:
    return sum(t.state.name == "WAITING" for t in study.get_trials(deepcopy=False))


def _candidate(trial: Any) -> Candidate:
    return msgspec.convert(trial.user_attrs[CANDIDATE], Candidate)


def _finished(study: optuna.Study) -> list[tuple[Candidate, Trained]]:
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    return [(_candidate(t), msgspec.convert(t.user_attrs[TRAINED], Trained)) for t in trials]


def _failed(study: optuna.Study) -> list[tuple[Candidate, str]]:
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.name == "FAIL" and CANDIDATE in t.user_attrs]
    return [(_candidate(t), str(t.user_attrs.get(TROUBLE, "not trained"))) for t in trials]
