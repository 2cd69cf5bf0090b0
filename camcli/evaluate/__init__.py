"""Does the heatmap hit the object, and does it tell the truth about the network?"""
