"""
What each domain shows of a clip
================================

One clip of rock through the five domains of the default experts: sustained tones, transient hits,
the rhythm of each band, and the timbre.
"""

# %%
# One call extracts all of them, with one decode and one Fourier transform.

import matplotlib.pyplot as plt

from sklearn_genremoe import DomainUnion, default_experts
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.inspection import DomainDisplay

clips = load_mini_genres()
path = clips.data[clips.target == "rock"][0]
domains = [(name, expert[0]) for name, expert in default_experts(duration=10.0)[:5]]
batch = DomainUnion(domains).transform([path])
print(batch)

# %%
# Horizontal lines are tones, which the harmonic part keeps; vertical ones are hits, which the
# percussive part keeps. The modulation spectrum tells how often per second each band swells.

figure, axes = plt.subplots(5, figsize=(8, 14), layout="constrained")
for ax, (name, domain) in zip(axes, domains):
    DomainDisplay.from_estimator(domain, path, ax=ax)
    ax.set_title(name)
