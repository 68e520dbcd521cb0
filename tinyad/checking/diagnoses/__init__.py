"""The catalogue of mistakes in gradients: one small rule a diagnosis, in tables."""
