"""Published methods to compare with, written from their papers; only the losses of a step tell them apart."""
