"""Files from elsewhere: fetched and unpacked, by whoever needs one.

In: a URL and what the file should be (size, hash). Out: a whole file, or a folder, on this disk.
Open first: `download`.
"""
