"""The sequence encoder: its model, its training, and its way to ONNX."""
