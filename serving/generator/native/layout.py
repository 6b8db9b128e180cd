"""What a decoder's weights look like to our code."""

from typing import NamedTuple

import numpy as np

COLUMNS = 16        # of a matrix that one instruction multiplies: numbers in a vector
BYTE_INPUTS = 4     # inputs that one instruction adds up for each column
BLOCK = 64          # inputs that share a scale, where a row has several
ZERO_POINT = 128    # of codes


class Matrix(NamedTuple):
    """A matrix of 8 bits as operators.py reads it; those of all layers have the layers as first axis."""

    groups: np.ndarray    # int8 [columns / 16, inputs / 4, 16, 4]
    offsets: np.ndarray   # int32 [columns / 16, blocks, 16]: -128 times the sum of the codes
    scales: np.ndarray    # float32 [columns / 16, blocks, 16]


class Weights(NamedTuple):
    """What a decoder has learned. Norms before matrices have no gain: the matrices hold it."""

    embedding: np.ndarray         # uint8 [vocabulary, hidden], zero point 128
    embedding_scales: np.ndarray  # float32 [vocabulary, hidden / 32]
    attention_inputs: Matrix      # queries, keys and values
    attention_biases: np.ndarray  # float32 [layers, columns]
    head_gains: np.ndarray        # float32 [layers, 2, head_dim], of queries and keys; [layers, 0, head_dim]: no norms
    attention_outputs: Matrix
    widening: Matrix              # 64 columns of gates, then the 64 that they are for
    narrowing: Matrix
    head: Matrix
    cosines: np.ndarray           # float32 [positions, head_dim / 2]
    sines: np.ndarray
    epsilon: np.float32           # of the norms
    reach: np.float32             # the scale of the codes of what norms before matrices give
