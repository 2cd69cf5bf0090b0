"""What is wrong with the data: labels, duplicates, outliers, odd pictures, telling properties.

In: photographs and their features. Out: findings, and their files. Open first: `check`.
"""
