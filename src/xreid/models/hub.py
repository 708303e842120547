"""Weights from the Hugging Face hub: the cache first, and a quick refusal where there is no network.

Asking timm for pre-trained weights without a network hangs for 49 s; here it takes a few seconds at most.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from pathlib import Path

from xreid.core.errors import CheckpointError

# the last for repositories that hold nothing newer; its pickle is not run (see `read_tensors`)
FILENAMES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin")
REACH_SECONDS = 5.0


def hub_file(name: str) -> Path:
    """The local file of weights named on the hub, downloaded if it is not in the cache.

    Args:
        name: timm's (vit_base_patch16_clip_quickgelu_224.openai) or a repository
            (openai/clip-vit-base-patch16).

    Raises:
        CheckpointError: The name is unknown, or the weights are neither cached nor reachable.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repository = _repository(name)
    for filename in FILENAMES:
        try:
            return Path(hf_hub_download(repository, filename, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
    if HF_HUB_OFFLINE or not hub_answers():
        raise _absent(name, "they are not in the cache and the hub is not reachable")
    for filename in FILENAMES:
        try:
            return Path(hf_hub_download(repository, filename))
        except LocalEntryNotFoundError as error:  # the hub fell silent; it is also an EntryNotFoundError
            raise _absent(name, "the download failed, try again") from error
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError) as error:
            raise _absent(name, " ".join(str(error).split())[:200]) from error
    raise _absent(name, f"{repository} holds none of {', '.join(FILENAMES)}")


def _repository(name: str) -> str:
    from huggingface_hub.utils import HFValidationError, validate_repo_id
    from timm.models import get_pretrained_cfg, is_model

    architecture = name.split(".", 1)[0]
    if is_model(architecture):
        found = get_pretrained_cfg(name)
        if found is not None and found.hf_hub_id:
            return str(found.hf_hub_id)
    repository = name.removeprefix("hf-hub:")
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise _absent(name, "it is neither a file nor a name") from error
    if "/" not in repository:
        raise _absent(name, "it is neither a file, nor a name timm knows, nor owner/repository")
    return repository


def hub_answers() -> bool:
    """Whether the hub answers within REACH_SECONDS; in a thread, since name resolution knows no time
    limit."""
    from huggingface_hub.constants import ENDPOINT

    answered: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(
                urllib.request.Request(ENDPOINT, method="HEAD"), timeout=REACH_SECONDS
            ).close()
            answered.append(True)
        except urllib.error.HTTPError:
            answered.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    return bool(answered)


def _absent(name: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"there are no weights named {name}: {why}",
        todo="Download the file elsewhere and give its path (.safetensors, or OpenAI's ViT-B-16.pt after "
        "`xreid convert`), or set weights to null to train from scratch.",
    )
