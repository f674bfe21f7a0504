"""What a network that was trained on the Million Song Dataset hears in a clip."""

import hashlib
import os

from .._fields import with_init
from ._base_embedding import BaseEmbedding, Published, WindowLength

_TAGS = (
    "rock,pop,alternative,indie,electronic,female vocalists,dance,00s,alternative rock,jazz,"
    "beautiful,metal,chillout,male vocalists,classic rock,soul,indie rock,Mellow,electronica,80s,"
    "folk,90s,chill,instrumental,punk,oldies,blues,hard rock,ambient,acoustic,experimental,"
    "female vocalist,guitar,Hip-Hop,70s,party,country,easy listening,sexy,catchy,funk,electro,"
    "heavy metal,Progressive rock,60s,rnb,indie pop,sad,House,happy"
)


@with_init
class MusicTagEmbedding(BaseEmbedding):
    """The embedding of a network that was trained to tag songs.

    musicnn [1]_ learned from a million songs which of 50 tags their listeners had given them, such
    as rock, female vocalists or 80s. It knows nothing but music, where the networks of
    :class:`AudioSetEmbedding` know all sounds, and errs on other clips: a mixture of both is better
    than either. As there, the features are the means and the standard deviations of what the
    network makes of the windows.

    Parameters
    ----------
    weights : str or Path, default="msd"
        The name of the published network, "msd" (0.8 million parameters, 9 MB), which is downloaded
        when it is first needed and checked by its hash; or the path of this file.
    window : float, default=3.0
        Length of the windows in seconds, at least 1; the network was trained on 3. What is left
        behind the last whole window is left out, and a clip of less than 3 s is repeated.
    layers : {"last", "stages", "tags"}, default="last"
        What is taken from the network: the 200 outputs of its last layer before the tags; behind
        them also the means over time of the four stages before it, of those of their 753 channels
        that training left alive (413 in all); or the probabilities of the 50 tags.
    <inherited>

    See Also
    --------
    AudioSetEmbedding : By a network that was trained on all kinds of sounds.
    sklearn_genremoe.pretrained_experts : Experts on both.

    Notes
    -----
    Nothing in the file of weights is executed. The network may have heard the very songs that it is
    tested on: see :ref:`pretrained`.

    References
    ----------
    .. [1] Pons, Serra, "musicnn: Pre-trained convolutional neural networks for music audio
       tagging", ISMIR late-breaking session, 2019, arXiv:1909.06654.

    Examples
    --------
    What the network thinks of a song, for example ``["rock", "Progressive rock", "80s"]``:

    >>> from sklearn_genremoe import MusicTagEmbedding
    >>> tags = MusicTagEmbedding().predict_tags(["song.mp3"])  # doctest: +SKIP
    >>> strongest = tags.loc[0].nlargest(3).index.tolist()  # doctest: +SKIP
    """

    weights: str | os.PathLike = "msd"
    window: WindowLength = 3.0

    _network_rate = 16000
    _published = {
        "msd": Published(
            "https://raw.githubusercontent.com/jordipons/musicnn/"
            "516acb2a0ff5ef73f64547898e018e793152c506/musicnn/MSD_musicnn/.data-00000-of-00001",
            "msd_musicnn.data",
            "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
        )
    }

    @classmethod
    def _read(cls, content, path):
        # Where the tensors lie is known for this one file.
        known = {published.sha256 for published in cls._published.values()}
        if hashlib.sha256(content).hexdigest() not in known:
            expected = f"{cls._published['msd'].url}, 9,465,596 bytes"
            raise ValueError(
                f"{path} is not the file of weights that the authors of musicnn published, by its "
                f"SHA-256. Expected is {expected}: fetch it again, or leave weights out."
            )
        from ._musicnn import Tagger  # imports torch, so not before it is needed

        return Tagger(content)

    @classmethod
    def _tags(cls):
        return _TAGS.split(",")
