"""The probes by name, each with what was done to the ID test images."""

PROBES = {"reencoded": "decoded and encoded again", "jpeg": "saved as JPEG"}
