"""Properties of whole photographs that tell classes apart: size, light, colour, blur, camera.

In: photographs. Out: their properties in numbers, and suspects. Open first: `association`.
"""
