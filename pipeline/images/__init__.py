"""Where images come from: each source gives labelled or unknown images by name of the set and its part."""
