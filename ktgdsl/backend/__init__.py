"""The back end: a plan becomes PyTorch modules and a torch.fx graph."""
