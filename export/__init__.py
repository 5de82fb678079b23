"""How does a trained model become a fast graph?

A plan of stages goes in, a folder of ONNX files with their manifest comes out.
"""
