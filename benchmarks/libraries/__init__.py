"""ResNet-20 on images of CIFAR-10's size, as users of each library train it: one script each.

Each script trains so many steps, the first ones to warm up, and prints the images per second of the rest.
"""
