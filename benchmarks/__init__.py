"""Speed, compared: ``make bench``, or ``python -m benchmarks NAME ...``."""
