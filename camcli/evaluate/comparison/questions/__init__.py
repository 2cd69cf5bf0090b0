"""What is asked of networks and methods, and by which annotations it is judged; without torch.

In: settings and annotation files. Out: questions, truths by photograph. Open first: `questions`.
"""
