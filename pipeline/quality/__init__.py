"""Stage `quality`: what each method's outliers are like, before a detector is trained on them."""
