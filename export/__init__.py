"""How does a trained model become a fast graph? Stage table in, ONNX files and their manifest out."""
