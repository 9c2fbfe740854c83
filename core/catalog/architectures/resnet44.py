"""ResNet-44 for small pictures (He 2015, section 4.2)."""

from core.catalog.architectures import _resnet

ENTRY = _resnet.entry(44, order=22)
