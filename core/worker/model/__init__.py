"""From the description of a model to a torch.nn.Module, and what such a model would do wrong."""
