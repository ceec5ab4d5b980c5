"""Words that several virtio devices share."""

from typing import Literal

VirtioModel = Literal["virtio", "virtio-transitional", "virtio-non-transitional"]
