"""What a new user gets with a folder of labelled photographs, beside what people would take instead."""
