"""
Quickstart: a folder of labelled clips
======================================

From labelled clips to a genre classifier that is judged on music it has never heard, and saved for
next month. Each clip is turned into several views. One classifier, the expert, learns from each
view, and a mixer combines their predicted probabilities into one answer.
"""

# %%
# The clips
# ---------
# ``clips.data`` are paths, ``clips.target`` genres. ``clips.groups`` names the track of each clip,
# so that no track is in training and in test data at once. For a folder of your own:
# ``load_audio_folder("my_clips")``.

import matplotlib.pyplot as plt

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts, load_model, save_model
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.inspection import CollectionReport

clips = load_mini_genres()
print(clips)

# %%
# The classifier
# --------------
# The clips have 10 s. The mixer is ``"log_pool"``, which learns nothing: 48 clips are too few to
# learn whom to trust. With some hundred clips of your own, take the defaults,
# ``MixtureOfExpertsClassifier(random_state=0)``. In a notebook an estimator is shown as the diagram
# below: click on a part to see its parameters.

experts = default_experts(duration=10.0)
clf = MixtureOfExpertsClassifier(experts, mixer="log_pool", random_state=0)
clf

# %%
# Judge it on tracks that were held out
# -------------------------------------
# Each clip is judged by a mixture that hasn't heard its track. The report has the answers as
# tables, as figures and as a page with a player for each clip. With 48 clips its intervals are
# wide.

report = CollectionReport.from_cross_validation(clf, clips.data, clips.target, clips.groups, cv=4)
print(*report.summary(), sep="\n")
print(report.scores().xs("accuracy", level="measure").round(2))

# %%
# Which labels would you listen to again? Those where the mixture is surest that they are wrong:

print(report.label_issues(3)[["genre", "predicted", "proba_genre"]].round(2))

# %%
# Fit on everything, and save
# ---------------------------
# ``load_model`` runs nothing that a file says, unlike a pickle.

clf.fit(clips.data, clips.target, groups=clips.groups)
save_model(clf, "genres.skops")
print(load_model("genres.skops").predict(clips.data[:3]))

# %%
# What is confused with what, and how good each expert and a plain baseline are, with intervals of
# 95 %:

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
report.plot("confusion", ax=left)
report.plot("scores", ax=right)
figure.savefig("quickstart.png", dpi=100)
page = report.save("report.html")
print(f"Open {page.name} in a browser. The picture is quickstart.png, the model genres.skops.")
