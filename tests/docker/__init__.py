"""What the Dockerfile and the scripts of the image promise, tested without a container engine."""
