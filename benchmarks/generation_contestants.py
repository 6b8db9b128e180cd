"""Who takes part in the generation benchmark, with which settings, and which cells each is measured at."""

from benchmarks.generation_in_process import GENAI, GENAI_INT4, TRANSFORMERS
from benchmarks.generation_results import Cell
from benchmarks.peers.llama_cpp import SERVER_OPTIONS

CONCH = "conch"
LLAMA_Q8, LLAMA_Q8_SPINNING, LLAMA_OWN = "llama.cpp-q8_0", "llama.cpp-q8_0-spinning", "llama.cpp-q4_1"
LLAMA = (LLAMA_Q8, LLAMA_Q8_SPINNING, LLAMA_OWN)
ALL = (CONCH, GENAI, GENAI_INT4, *LLAMA, TRANSFORMERS)

# Held against each other, so one comes after the other, and each takes seconds: the machine's speed wavers within one.
ONE, EIGHT = Cell(20, 1, waves=4), Cell(20, 8, waves=4)
# Long enough for a prompt of 1,000 tokens to be computed eight tokens at a time while the others run.
UNDISTURBED, DISTURBED = Cell(20, 7, tokens=160), Cell(20, 7, tokens=160, long_prompt=True)
LONG_PROMPT_TOKENS = 1000
_SHORT = (ONE, EIGHT, Cell(20, 4), Cell(20, 16))
_MIDDLE = (Cell(200, 1), Cell(200, 4), Cell(200, 8), Cell(200, 16))
_LONG = (Cell(1000, 1), Cell(1000, 4), Cell(1000, 8))
# More than there are slots, and none as long as its neighbour: what a static batch is not made for.
UNEVEN = Cell(20, 24, uneven=True)
CELLS = (*_SHORT, *_MIDDLE, *_LONG, UNEVEN, UNDISTURBED, DISTURBED)
QUICK_CELLS = (ONE, EIGHT, UNEVEN, UNDISTURBED, DISTURBED)

# A static batch of genai is one prompt or eight; 8 x 1,000 tokens would need 1.6 GB for logits that nobody reads.
_GENAI_CELLS = (ONE, EIGHT, Cell(200, 1), Cell(200, 8), Cell(1000, 1), UNEVEN)
CELLS_OF = {
    CONCH: CELLS, GENAI: _GENAI_CELLS, GENAI_INT4: (ONE, EIGHT, UNEVEN), LLAMA_Q8: CELLS,
    LLAMA_Q8_SPINNING: (ONE, EIGHT), LLAMA_OWN: (ONE, EIGHT), TRANSFORMERS: (ONE, Cell(200, 1), Cell(1000, 1)),
}

_LLAMA = f"llama-server {' '.join(SERVER_OPTIONS)}, compiled for this processor, top_k 1 as its only sampler"
_GENAI = "onnxruntime-genai in process, one static batch, past and present in one buffer, threads spin"
SETTINGS = {
    CONCH: "Triton, one gRPC stream for each answer; config.pbtxt as the export writes it: 8 slots of 2,048 tokens, "
           "16 tokens of a new prompt between two steps of running streams",
    GENAI: f"{_GENAI}; the very graph that Conch's export made and Conch serves, so that only the loop differs",
    GENAI_INT4: f"{_GENAI}; what its own builder makes for CPUs, int4 by its defaults: half the bits, for comparison",
    LLAMA_Q8: f"{_LLAMA}; the GGUF quantised anew to Q8_0; threads do not spin (OMP_WAIT_POLICY=passive)",
    LLAMA_Q8_SPINNING: "the same; threads spin, its default",
    LLAMA_OWN: "llama.cpp-q8_0 with the GGUF as it is, Q4_1: half the bits, for comparison",
    TRANSFORMERS: "generate() in process, torch float32, scaled-dot-product attention, one prompt at a time, greedy",
}
