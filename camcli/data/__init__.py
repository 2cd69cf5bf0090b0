"""Where images come from: references to files, and their pixels."""
