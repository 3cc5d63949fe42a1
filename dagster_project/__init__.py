"""Assembly of the code location; nothing else."""

import gc

# Loading defines things and throws nothing away: looking for garbage after every few hundred new
# objects, as Python does by default, is a tenth of the time. `pmx` does the same for itself.
gc.set_threshold(50_000, 20, 20)
