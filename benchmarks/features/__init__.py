"""Scores of the features beside those of aubio, librosa and pYIN; see `benchmarks/features.md`."""
