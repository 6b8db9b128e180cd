"""How close numbers must be; each bound stands about ten times over what was measured on the small checkpoints."""

# |found - expected| / |expected| of one embedding (or of one pooling mode's part of it) in float32.
FP32_RELATIVE_ERROR = 1e-5
# The same text in another batch: other padding and other sums, the same weights.
BATCH_RELATIVE_ERROR = 1e-5
# What int8 must reach on the small checkpoint; the real models' own figures are in their manifests.
INT8_MIN_COSINE = 0.97
