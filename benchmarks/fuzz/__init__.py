"""Coverage-guided fuzzing of everything that comes in; see benchmarks/README.md."""
