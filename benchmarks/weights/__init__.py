"""Write public pretrained weights in the layouts that encoders are read from."""
