"""ResNet-56 for small pictures (He 2015, section 4.2)."""

from core.catalog.architectures import _resnet

ENTRY = _resnet.entry(56, order=23)
