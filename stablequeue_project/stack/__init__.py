"""One machine: the embedded engines and the processes of `./stablequeue up`, kept alive."""
