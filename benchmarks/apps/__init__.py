"""The contenders' apps: each as its own documentation would have one write it."""
