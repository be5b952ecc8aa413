"""What English texts mean, as vectors whose cosine is high where they speak of the same.

They are WordLlama's, which come with its package: 256 numbers for a text, the mean of those of its parts, in some
0.1 ms and without a network. For other languages, and on machines for which there is no package, there are none.
"""

import logging
import os
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOADING: Final = threading.Lock()  # of two threads that load at once, one would take the other's logging for ours


def measure_meaning(texts: Sequence[str], language: str) -> "NDArray[np.float32] | None":
    """A vector of length 1 for each text (texts x 256); None where no vectors know the language."""
    import numpy as np

    with _LOADING:
        model = _load_vectors() if texts and language == "en" else None
    if model is None:
        return None
    vectors: NDArray[np.float32] = model.embed([text or "." for text in texts])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors


@lru_cache(maxsize=1)
def _load_vectors() -> Any:
    # It sets up logging for the whole program, which would print what every library has to say, also in other threads;
    # but not where that is set up already.
    root, silence = logging.getLogger(), logging.NullHandler()
    root.addHandler(silence)
    try:
        import wordllama
    except ImportError:
        return None
    finally:
        root.removeHandler(silence)
    # Threads for a few sentences cost more than they save, and a process that has used them may not fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # The package looks for what it brings in a folder of another name, and would ask the network for it.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
