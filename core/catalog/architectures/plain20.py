"""ResNet-20 without its shortcuts: the plain network of He 2015, section 4.2, to see what shortcuts do."""

from core.catalog.architectures import _resnet

ENTRY = _resnet.entry(20, order=19, options=_resnet.Plain)
