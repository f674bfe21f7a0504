"""A fit that is interrupted, and the next one in the same process."""

import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys
import numpy as np
from sklearn_genremoe import CNNClassifier

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._dynamo.exc":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
X, y = np.random.default_rng(0).normal(size=(20, 16, 20)), np.arange(20) % 2
clf = CNNClassifier(channels=(4,), max_epochs=1, device="cpu")
try:
    clf.fit(X, y)
except KeyboardInterrupt:
    print("interrupted")
print(clf.fit(X, y).predict(X).shape)
"""


@pytest.mark.slow
def test_in_the_middle_of_what_torch_loads():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["interrupted", "(20,)"]
