"""The engine in several processes of this machine, for several GPUs and many cores."""
