"""GANs on flat images, without labels: EBGAN, with or without the pulling-away term, and the ordinary GAN.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, section 4.1 and
appendices C and E. docs/gan.md has the equations, and what was decided where the paper is silent.
"""
