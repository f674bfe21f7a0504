"""Do weights that depend on the clip help where they should? Clips of mixed cues, three seeds.

    python benchmarks/mixed_cues.py [--clips 300] [--seeds 0 1 2]

The paper's claim is that a mixer which sees the clip knows whom to trust. These synthetic clips are
made for it: the genre of each can be told from one cue only, the pitch of soft tones, that of hits
or the rate of a tremble, another cue from clip to clip, and an expert that doesn't see the cue of a
clip can only guess. If a mixer doesn't win here, it won't anywhere. Two thirds of the clips train,
the others judge; all mixers learn from the same out-of-fold predictions (three folds).

Printed are accuracy with the interval of a single run, log-loss, the difference in accuracy from
MoEB on the same clips with its standard error over the clips, and the accuracy of each seed.
"""

import argparse
import os
from importlib.metadata import version

import numpy as np
import torch
from every_mixer import ConfidencePool, EveryMixer
from gtzan_fault_filtered import MOEB, table
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_genremoe import (
    BalancedMixer,
    CNNMixer,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    ModulationSpectrogram,
    PercussiveSpectrogram,
    RNNMixer,
    StackingMixer,
)
from sklearn_genremoe.datasets import make_genre_clips
from sklearn_genremoe.domains import time_statistics

DOMAINS = {
    "original": LogMelSpectrogram(),
    "harmonic": HarmonicSpectrogram(),
    "percussive": PercussiveSpectrogram(),
    "modulation": ModulationSpectrogram(),
}


def expert(domain: object) -> object:
    linear = LogisticRegression(C=0.1, max_iter=1000)
    return make_pipeline(domain, FunctionTransformer(time_statistics), StandardScaler(), linear)


def run(args: argparse.Namespace, seed: int) -> dict[str, np.ndarray]:
    waveforms, y = make_genre_clips(args.clips, cue="mixed", random_state=seed)
    gates = {"max_epochs": args.gate_epochs, "random_state": seed}
    mixers = {
        MOEB: BalancedMixer(),
        "log pool": LogPoolMixer(),
        "stacking": StackingMixer(),
        "log pool by confidence": ConfidencePool(),
        "MoEC, CNN gate": CNNMixer(**gates),
        "MoER, RNN gate": RNNMixer(**gates),
    }
    moe = MixtureOfExpertsClassifier(
        [(name, expert(domain)) for name, domain in DOMAINS.items()],
        EveryMixer(mixers),
        mixer_domain="original",
        cv=3,
        random_state=seed,
    )
    batch = moe.extract(waveforms)
    train, test = train_test_split(np.arange(len(y)), test_size=1 / 3, stratify=y, random_state=0)
    test = test[np.argsort(y[test])]  # as many of each genre: the labels are those of every seed
    moe.fit(batch[train], y[train])
    probas = moe.expert_predict_proba(batch[test])
    clips = batch[test]["original"]
    fitted = moe.mixer_.fitted_
    return {
        "y": np.searchsorted(moe.classes_, y[test]),
        "probas": probas,
        "names": np.array([name for name, _ in moe.experts]),
        "mixers": np.array(list(fitted)),
        "proba": np.stack([mixer.predict_proba(probas, clips) for mixer in fitted.values()]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--gate-epochs", type=int, default=30)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"clips {args.clips}, seeds {args.seeds}, gate epochs {args.gate_epochs}, torch "
        f"{version('torch')}, {os.cpu_count()} cores, one thread\n",
        flush=True,
    )
    print(table([run(args, seed) for seed in args.seeds]))


if __name__ == "__main__":
    main()
