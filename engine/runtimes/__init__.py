"""What runs a stage: ONNX Runtime, TensorRT or torch, all behind one call signature."""
