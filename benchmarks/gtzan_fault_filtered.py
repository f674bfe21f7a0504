"""Recipes and mixers on GTZAN's fault-filtered, artist-disjoint split, over several seeds.

    python benchmarks/gtzan_fault_filtered.py --data mel.npz [--recipe ours] [--seeds 0 1 2] ...
    python benchmarks/gtzan_fault_filtered.py --data genres/ --lists train.txt valid.txt ...

``--data`` is one of

- an ``.npz`` file with mel spectrograms: ``X`` uint8 (n_clips, n_bands, n_frames), where a cell's
  power is ``vmin_db * (1 - X / 255)`` dB below the clip's loudest cell, ``vmin_db`` (n_clips,),
  ``genre``, ``split`` ("train", "valid" or "test") and ``names``. The domains are rebuilt from it:
  the entry of each expert in the batch is ``MEL_DOMAINS[name].fit_transform(db)``;
- the folder of the audio files, ``blues/blues.00000.wav`` and so on, with ``--lists``: text files
  of the split, one file per line, named ``train...``, ``valid...`` or ``test...``. A domain is
  then what the recipe's experts begin with.

The recipe "ours" is ``default_experts()``, "paper" is ``paper_experts()`` and their like on MFCC:
the same call gives a user the same networks. All mixers learn from one cross-fitting of the
experts (``--cv``: folds over the train clips in the order of their names, so that an artist's
clips mostly stay together; "train" is the paper's way). What each seed gave is kept under
``--out`` and is not computed again; ``--jobs`` experts are trained at a time, with one thread each.
``--set`` changes parameters of the networks, so that an ingredient of a recipe can be left out.

``--test`` names the part that is judged. Nothing is tuned on the way, so where that is "test" the
experts are trained on train and valid clips, unless ``--train`` says otherwise.

Printed are accuracy with the interval of a single run of that many clips and its deviation over
the seeds, log-loss, expected calibration error (10 bins), and for each mixer the difference in
accuracy from MoEB on the same clips, with its standard error over the clips.
"""

import argparse
import json
import os
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.fft
import torch
from every_mixer import ConfidencePool, EveryMixer
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_genremoe import (
    MFCC,
    BalancedMixer,
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    RNNMixer,
    StackingMixer,
    default_experts,
    paper_experts,
)
from sklearn_genremoe.domains import (
    DomainBatch,
    covariance_statistics,
    modulation_statistics,
    time_frequency_scattering,
)

FLOOR_DB = -80.0
HPSS_KERNEL = 9  # frames, and bands
MOEB = "MoEB, balanced"


# Domains of mel spectrograms in dB, (n_clips, n_bands, n_frames).


def zscore(x: np.ndarray) -> np.ndarray:
    """Give each clip mean 0 and deviation 1."""
    mean, deviation = x.mean(axis=(1, 2), keepdims=True), x.std(axis=(1, 2), keepdims=True)
    return ((x - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)


def part(db: np.ndarray, wanted: str) -> np.ndarray:
    """Return the harmonic or the percussive part, by median filters on the amplitude, in dB."""
    parts = np.empty_like(db)
    for clip, out in zip(db, parts):
        amplitude = 10 ** (clip / 20)
        tones = median_filter(amplitude, (1, HPSS_KERNEL)) ** 2
        strokes = median_filter(amplitude, (HPSS_KERNEL, 1)) ** 2
        total = tones + strokes
        share = np.where(total > 0, tones / np.where(total > 0, total, 1), 0.5)
        mask = share if wanted == "harmonic" else 1 - share
        out[:] = 20 * np.log10(np.maximum(amplitude * mask, 1e-5))
        np.maximum(out, out.max() + FLOOR_DB, out=out)
    return parts


def original(db: np.ndarray) -> np.ndarray:
    """Return the spectrogram itself, 80 dB deep."""
    return np.maximum(db, db.max(axis=(1, 2), keepdims=True) + FLOOR_DB)


def modulation(db: np.ndarray) -> np.ndarray:
    """Return the magnitude of the spectrum of each band along time."""
    return np.abs(scipy.fft.rfft(zscore(original(db)), axis=2))[:, :, : db.shape[2] // 2]


def mfcc(db: np.ndarray) -> np.ndarray:
    """Return 20 cepstral coefficients with first and second differences."""
    c = scipy.fft.dct(original(db), axis=1, norm="ortho")[:, :20]
    slopes = [savgol_filter(c, 9, order, deriv=order, axis=2) for order in (1, 2)]
    return np.concatenate([c, *slopes], axis=1)


def covariance(db: np.ndarray) -> np.ndarray:
    """Return what bands of both parts and cepstral coefficients have in common."""
    parts = (zscore(part(db, wanted)) for wanted in ("harmonic", "percussive"))
    return covariance_statistics(*parts, mfcc(db))


def scattering(db: np.ndarray) -> np.ndarray:
    """Return how the clip and both of its parts move, channels one after the other."""
    spectrograms = (original(db), part(db, "harmonic"), part(db, "percussive"))
    return np.concatenate([time_frequency_scattering(zscore(x)) for x in spectrograms], axis=1)


def of_part(wanted: str) -> Pipeline:
    """Return the z-scored spectrogram of a part as a transformer."""
    return make_pipeline(
        FunctionTransformer(part, kw_args={"wanted": wanted}), FunctionTransformer(zscore)
    )


# What each expert's own domain computes from the sound, by the name of the expert.
MEL_DOMAINS = {
    "original": make_pipeline(FunctionTransformer(original), FunctionTransformer(zscore)),
    "harmonic": of_part("harmonic"),
    "percussive": of_part("percussive"),
    "modulation": make_pipeline(FunctionTransformer(modulation), FunctionTransformer(zscore)),
    "mfcc": FunctionTransformer(mfcc),
    "covariance_statistics": FunctionTransformer(covariance),
    "scattering": FunctionTransformer(scattering),
}
MEL_DOMAINS["modulation_statistics"] = make_pipeline(
    *MEL_DOMAINS["original"], FunctionTransformer(modulation_statistics)
)
MEL_DOMAINS |= {f"{name}_statistics": MEL_DOMAINS[name] for name in ("harmonic", "mfcc")}


# Data.


def load(args: argparse.Namespace, domains: dict) -> tuple[DomainBatch, np.ndarray, np.ndarray]:
    """Return the clips as domains, their genres, and the part of the split they belong to."""
    if args.data.is_file():
        with np.load(args.data, allow_pickle=False) as data:
            db = data["vmin_db"][:, None, None] * (1 - data["X"] / np.float32(255))
            y, split = data["genre"].astype(str), data["split"].astype(str)
            order = np.argsort(data["names"].astype(str))
        db = db[order].astype(np.float32)
        distinct = {id(MEL_DOMAINS[name]): MEL_DOMAINS[name] for name in domains}
        arrays = {key: domain.fit_transform(db) for key, domain in distinct.items()}
        batch = DomainBatch({name: arrays[id(MEL_DOMAINS[name])] for name in domains})
        return batch, y[order], split[order]
    if not args.lists:
        raise SystemExit(f"{args.data} is a folder: give the lists of its split by --lists")
    listed = sorted(
        (Path(line.strip()).stem, line.strip(), file.name)
        for file in args.lists
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    )
    paths = [args.data / line for _, line, _ in listed]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise SystemExit(f"{len(missing)} listed files are not there, the first is {missing[0]}")
    y = np.array([stem.partition(".")[0] for stem, _, _ in listed])
    split = np.array([next((p for p in PARTS if p in name), "?") for _, _, name in listed])
    if "?" in split:
        raise SystemExit("name the files of --lists so that each has train, valid or test in it")
    union = DomainUnion(list(domains.items()), n_jobs=args.jobs, memory=args.out / "features")
    return union.transform(paths), y, split


PARTS = ("train", "valid", "test")


# Recipes.


def experts_of(args: argparse.Namespace) -> list[tuple[str, object]]:
    """Return the experts of a recipe, pipelines of a domain and a network."""
    changes = dict(args.set)
    if args.recipe == "ours":
        experts = default_experts(networks=not args.quick, **changes)
    else:
        experts = paper_experts(**changes)
        experts.append(("mfcc", make_pipeline(MFCC(), CNNClassifier(**changes))))
    return [(name, expert) for name, expert in experts if name in (args.experts or [name])]


def mixers_of(args: argparse.Namespace, seed: int) -> dict[str, object]:
    """Return the mixers that are compared, MoEB first."""
    gates = {"max_epochs": args.gate_epochs, "random_state": seed}
    mixers = {
        MOEB: BalancedMixer(),
        "log pool": LogPoolMixer(),
        "stacking": StackingMixer(),
        "log pool by confidence": ConfidencePool(),
    }
    if args.gate_epochs:
        mixers |= {
            "MoEC, CNN gate": CNNMixer(**gates),
            "MoER, RNN gate": RNNMixer(**gates),
            "MoER, shrunk": RNNMixer(shrinkage=1.0, **gates),
        }
    return mixers


def run(args: argparse.Namespace, seed: int) -> dict[str, np.ndarray]:
    """Train and judge with one seed, unless that was done before."""
    settings = {
        name: str(value)
        for name, value in sorted(vars(args).items())
        if name not in ("seeds", "out", "jobs")
    }
    changed = "".join(f"-{name}={json.dumps(value)}" for name, value in args.set)
    folder = args.out / f"{args.recipe}{changed}-{args.test}-seed{seed}"
    described = Path(f"{folder}.json")
    if described.exists() and json.loads(described.read_text()) == settings:
        print(f"seed {seed}: kept from an earlier run in {folder}.npz", flush=True)
        with np.load(f"{folder}.npz", allow_pickle=False) as kept:
            return dict(kept)
    experts = experts_of(args)
    batch, y, split = load(args, {name: expert[0] for name, expert in experts})
    train, test = np.isin(split, args.train), split == args.test
    if not test.any():
        raise SystemExit(f"{args.data} has no clips of the part {args.test!r}")
    moe = MixtureOfExpertsClassifier(
        experts,
        mixer=EveryMixer(mixers_of(args, seed), args.jobs),
        mixer_domain=experts[0][0],
        cv=args.cv,
        refit=not args.keep_folds,
        n_jobs=args.jobs,
        random_state=seed,
        verbose=1,
    )
    start = time.perf_counter()
    moe.fit(batch[train], y[train])
    seconds = time.perf_counter() - start
    probas = moe.expert_predict_proba(batch[test])
    clips = batch[test][experts[0][0]]
    result = {
        "y": np.searchsorted(moe.classes_, y[test]),
        "probas": probas,
        "names": np.array([name for name, _ in experts]),
        "mixers": np.array(list(moe.mixer_.fitted_)),
        "proba": np.stack(
            [mixer.predict_proba(probas, clips) for mixer in moe.mixer_.fitted_.values()]
        ),
        "seconds": np.array([seconds, *moe.mixer_.seconds_.values()]),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez(f"{folder}.npz", **result)
    described.write_text(json.dumps(settings, indent=1))
    accuracy = (result["proba"].argmax(axis=2) == result["y"]).mean(axis=1)
    scores = ", ".join(f"{name} {a:.3f}" for name, a in zip(result["mixers"], accuracy))
    print(f"seed {seed}, {seconds:.0f} s to fit: {scores}", flush=True)
    return result


# Figures.


def log_loss(proba: np.ndarray, y: np.ndarray) -> float:
    """Return the mean negative logarithm of the true genre's probability."""
    return float(-np.log(np.maximum(proba[np.arange(len(y)), y], 1e-15)).mean())


def calibration_error(proba: np.ndarray, y: np.ndarray, n_bins: int = 10) -> float:
    """Return the expected calibration error of the answers, in equal bins of confidence."""
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    which = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(which, right - confidence, n_bins)
    return float(np.abs(gaps).sum() / len(y))


def table(results: list[dict[str, np.ndarray]]) -> str:
    """Return accuracy, log-loss and calibration of experts, mixers and oracle."""
    y = results[0]["y"]
    rows = {
        **{
            str(name): [r["probas"][:, m] for r in results]
            for m, name in enumerate(results[0]["names"])
        },
        **{
            str(name): [r["proba"][m] for r in results]
            for m, name in enumerate(results[0]["mixers"])
        },
    }
    right = {
        name: np.array([p.argmax(axis=1) == y for p in probas]) for name, probas in rows.items()
    }
    oracle = np.array([(r["probas"].argmax(axis=2) == y[:, None]).any(axis=1) for r in results])
    lines = [f"{'':24}accuracy ± 95 %   dev.  log-loss  calib.   - MoEB ± s.e.   seeds"]
    for name, probas in rows.items():
        accuracies = right[name].mean(axis=1)
        half_width = 1.96 * np.sqrt(accuracies.mean() * (1 - accuracies.mean()) / len(y))
        line = (
            f"{name:24}{100 * accuracies.mean():8.1f} ± {100 * half_width:.1f}"
            f"{100 * accuracies.std():8.1f}"
            f"{np.mean([log_loss(p, y) for p in probas]):10.3f}"
            f"{np.mean([calibration_error(p, y) for p in probas]):8.3f}"
        )
        if name in results[0]["mixers"] and name != MOEB:
            by_clip = (right[name].astype(float) - right[MOEB]).mean(axis=0)
            error = by_clip.std() / np.sqrt(len(y))
            line += f"{100 * by_clip.mean():+9.1f} ± {100 * error:.1f} "
        else:
            line += " " * 16
        lines.append(line + "   " + " ".join(f"{100 * a:.1f}" for a in accuracies))
    lines.append(f"{'any expert right':24}{100 * oracle.mean():8.1f}")
    return "\n".join(lines)


def parameter(text: str) -> tuple[str, object]:
    """Return name and value of a parameter that is written as name=value, the value in JSON."""
    name, _, value = text.partition("=")
    return name, json.loads(value)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="mel .npz or folder of audio")
    parser.add_argument("--lists", nargs="+", type=Path, help="lists of the split, for a folder")
    parser.add_argument("--recipe", choices=("ours", "paper"), default="ours")
    parser.add_argument("--quick", action="store_true", help="our experts without networks")
    parser.add_argument("--experts", nargs="+", help="some of the experts only, by name")
    parser.add_argument("--train", nargs="+", choices=PARTS, help="default: train (and valid)")
    parser.add_argument("--test", default="valid", choices=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--cv", type=lambda v: v if v == "train" else int(v), default=5)
    parser.add_argument("--keep-folds", action="store_true", help="average the folds' experts")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        type=parameter,
        metavar="NAME=VALUE",
        help="parameters of the networks to change, values in JSON: center_bins=false",
    )
    parser.add_argument("--gate-epochs", type=int, default=0, help="of the gates; 0 for none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--out", type=Path, default=Path("gtzan_runs"), help="folder of results")
    args = parser.parse_args()
    args.train = args.train or (["train", "valid"] if args.test == "test" else ["train"])
    return args


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    print(", ".join(f"{name} {value}" for name, value in vars(args).items() if value is not None))
    print(
        f"torch {version('torch')}, scikit-learn {version('scikit-learn')}, "
        f"{os.cpu_count()} cores, one thread per training",
        flush=True,
    )
    results = [run(args, seed) for seed in args.seeds]
    seconds = np.mean([r["seconds"] for r in results], axis=0)
    print(f"\n{len(results[0]['y'])} clips of {args.test}, trained on {' and '.join(args.train)}\n")
    print(table(results))
    spent = zip(["all", *results[0]["mixers"]], seconds)
    print(
        "\nseconds to fit, per seed: " + ", ".join(f"{name} {value:.0f}" for name, value in spent)
    )


if __name__ == "__main__":
    main()
