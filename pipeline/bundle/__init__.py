"""Stage `bundle`: the detector of each seed with all it needs, in a folder that stands alone."""
