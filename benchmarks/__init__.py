"""What a token costs, here and elsewhere: `make bench`, or `python -m benchmarks --help`."""
