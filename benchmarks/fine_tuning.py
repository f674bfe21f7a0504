"""Whether to train the last blocks of AudioSet's network on clips of one's own.

    python benchmarks/fine_tuning.py --data FOLDER [--groups artist package] [--seeds 0 1 2] ...

The folder needs a ``manifest.csv`` with the columns path and genre and those that ``--groups``
names: clips of one group are never in training and in test data at once. Compared with the linear
model on ``AudioSetEmbedding(window=3.0, layers="stages")`` is the same network with its last
``--blocks`` blocks trained: it begins as that linear model, so that it can only leave it where the
clips say so, and learns by AdamW in one cycle, with label smoothing and dropout before the linear
layer. What comes before the last blocks is computed once. Printed are accuracy and log-loss by
column of groups and learning rate, means over the seeds, beside those of the linear model and of
the mean of both, and the processor time of a fit.
"""

import argparse
import copy
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from sklearn_genremoe import AudioSetEmbedding
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_audio_folder
from sklearn_genremoe.domains import _mobilenet as mobilenet

LEVEL, WINDOW = 0.1, 3.0  # of full scale, and s


class Tail(torch.nn.Module):
    """The last blocks, statistics over the windows of a clip, and a linear layer."""

    def __init__(self, network, first: int, scaler: StandardScaler, linear: LogisticRegression):
        super().__init__()
        self.first = first
        self.blocks = copy.deepcopy(network._blocks[first:])
        self.last = copy.deepcopy(network._last)
        layers = [layer for expand, project in self.blocks for layer in (*expand, project)]
        found = [value for layer in (*layers, self.last) for value in tensors_of(layer)]
        self.body = torch.nn.ParameterList([torch.nn.Parameter(value) for value in found])
        for value in found:
            value.requires_grad_(True)
        self.trained = found  # what the layers hold, which the optimiser changes in place
        mean, scale = (torch.tensor(x, dtype=torch.float32) for x in (scaler.mean_, scaler.scale_))
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.weight = torch.nn.Parameter(torch.tensor(linear.coef_, dtype=torch.float32))
        self.bias = torch.nn.Parameter(torch.tensor(linear.intercept_, dtype=torch.float32))

    def forward(self, maps, before, clip, n_clips: int, dropout: float = 0.0):
        x, stages = mobilenet.pass_blocks(maps, self.blocks, self.first)
        last = F.hardswish(self.last(x)).mean((2, 3))
        features = torch.cat([last, before, *stages], dim=1)
        count = torch.bincount(clip, minlength=n_clips)[:, None]
        pooled = partial(torch.zeros(n_clips, features.shape[1]).index_add, 0, clip)
        mean = pooled(features) / count
        variance = pooled((features - mean[clip]) ** 2) / count
        table = torch.cat([mean, (variance + 1e-12).sqrt()], dim=1)
        table = F.dropout((table - self.mean) / self.scale, dropout, training=dropout > 0)
        return F.linear(table, self.weight, self.bias)


def tensors_of(layer) -> list[torch.Tensor]:
    """Return the weights in a layer."""
    keywords = getattr(layer, "keywords", {})
    return [
        *(keywords[n] for n in ("weight", "bias") if n in keywords),
        *keywords.get("tensors", []),
    ]


@torch.inference_mode()
def before_the_tail(network, path, first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the maps before the last blocks, and the means of the stages there, by window."""
    x = decode_audio(path, sample_rate=mobilenet.SAMPLE_RATE, duration=30.0)
    x = torch.from_numpy(np.asarray(x * (LEVEL / np.sqrt(np.mean(x.astype(float) ** 2))), "f"))
    n_window = round(WINDOW * mobilenet.SAMPLE_RATE)
    windows = x[: len(x) // n_window * n_window].reshape(-1, n_window)
    x = F.hardswish(network._stem(network.logmel(windows).unsqueeze(1)))
    x, stages = mobilenet.pass_blocks(x, network._blocks[:first])
    return x, torch.cat(stages, dim=1)


def fit(tail: Tail, clips, y: np.ndarray, args: argparse.Namespace, lr: float, seed: int) -> Tail:
    """Train the last blocks and the linear layer."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    groups = [{"params": tail.trained, "lr": lr}, {"params": [tail.weight, tail.bias], "lr": lr}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.05)
    target, n_steps = torch.from_numpy(y), args.epochs * -(-len(y) // args.batch)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=n_steps)
    for _ in range(args.epochs):
        for rows in torch.randperm(len(y), generator=generator).split(args.batch):
            logits = tail(*together([clips[row] for row in rows]), len(rows), dropout=0.3)
            loss = F.cross_entropy(logits, target[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
    return tail


def together(clips) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the windows of some clips, and which clip each belongs to."""
    counts = torch.tensor([len(maps) for maps, _ in clips])
    maps, before = (torch.cat(values) for values in zip(*clips))
    return maps, before, torch.repeat_interleave(torch.arange(len(clips)), counts)


@torch.no_grad()
def predict(tail: Tail, clips) -> np.ndarray:
    """Return the probabilities of clips."""
    logits = [
        tail(*together(clips[i : i + 32]), len(clips[i : i + 32])) for i in range(0, len(clips), 32)
    ]
    return torch.cat(logits).softmax(dim=1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with manifest.csv")
    parser.add_argument("--groups", nargs="+", default=["artist", "package"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--weights", required=True, type=Path, help="mn04_as_mAP_432.pt")
    parser.add_argument("--blocks", type=int, default=3, help="that are trained, of 15")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16, help="clips per update")
    parser.add_argument("--lr", type=float, nargs="+", default=[1e-4, 1e-3])
    args = parser.parse_args()
    torch.set_num_threads(1)

    network = mobilenet.read_embedder(args.weights.read_bytes(), args.weights)
    first = mobilenet._N_BLOCKS - args.blocks
    paths = load_audio_folder(args.data, manifest="manifest.csv").data
    clips = [tuple(x.clone() for x in before_the_tail(network, path, first)) for path in paths]
    embedding = AudioSetEmbedding(args.weights, window=WINDOW, layers="stages")
    table = np.asarray(embedding.transform(paths), dtype=float)
    print(f"{len(paths)} clips, {args}, one thread")
    for column in args.groups:
        loaded = load_audio_folder(args.data, manifest="manifest.csv", group_by=column)
        genres, y = np.unique(loaded.target, return_inverse=True)
        results: dict[str, list[np.ndarray]] = {}
        seconds, n_fits = 0.0, 0
        for seed in args.seeds:
            probas: dict[str, np.ndarray] = {}
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
            for train, test in folds.split(y, y, loaded.groups):
                scaler = StandardScaler().fit(table[train])
                # Channels that training left dead differ by rounding only.
                scaler.scale_ = np.maximum(scaler.scale_, 1e-4)
                linear = LogisticRegression(C=0.01, max_iter=1000)
                linear.fit(scaler.transform(table[train]), y[train])
                found = {"linear": linear.predict_proba(scaler.transform(table[test]))}
                for lr in args.lr:
                    start = time.process_time()
                    tail = Tail(network, first, scaler, linear)
                    fit(tail, [clips[row] for row in train], y[train], args, lr, seed)
                    seconds, n_fits = seconds + time.process_time() - start, n_fits + 1
                    tuned = predict(tail, [clips[row] for row in test])
                    found[f"fine-tuned, {lr:g}"] = tuned
                    found[f"mean of both, {lr:g}"] = (tuned + found["linear"]) / 2
                for name, proba in found.items():
                    probas.setdefault(name, np.zeros((len(y), len(genres))))[test] = proba
            for name, proba in probas.items():
                results.setdefault(name, []).append(proba)
        print(f"\nby {column}, a fit takes {seconds / n_fits:.0f} CPU s")
        for name, of_seeds in results.items():
            right = [(proba.argmax(axis=1) == y).mean() for proba in of_seeds]
            loss = [-np.log(proba[np.arange(len(y)), y]).mean() for proba in of_seeds]
            each = " ".join(f"{value:.3f}" for value in right)
            print(f"{name:22}{np.mean(right):.3f} {np.mean(loss):.3f}   {each}", flush=True)


if __name__ == "__main__":
    main()
