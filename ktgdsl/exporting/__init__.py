"""Trained networks for other programs: ONNX, torch.export and safetensors files."""
