"""Every term of the pages in one plain sentence, for people who meet it for the first time."""

from __future__ import annotations

TERMS = {
    "unit": "One feature detector of a layer: it answers how strongly its pattern is present at each place of an image.",
    "layer": "One step of the network; all its units look at the same input.",
    "channel": "A unit that looks at every position of the image with the same weights.",
    "activation": "How strongly a unit responds, after its nonlinearity; larger means that its pattern is more present.",
    "pre_activation": "The response before the nonlinearity cuts negative values off.",
    "receptive_field": "The part of the image that can influence the unit at one position.",
    "feature_visualization": "A synthetic image, optimised until the unit responds as strongly as possible.",
    "dataset_examples": "Real images from the dataset, chosen by how strongly the unit responds to them.",
    "reached_ratio": "The response to the synthetic image, as a multiple of the strongest response to any image of the dataset.",
    "robustness": "How much of the response is left when the picture is shifted, scaled and rotated a little.",
    "weights": "How much one unit adds to or takes from another; red adds, blue takes away.",
    "norm": "The size of all weights between two units together (L2 norm): how strongly they are connected.",
    "sum": "All weights between two units added up, with sign: whether one excites or inhibits the other on the whole.",
    "kernel": "The weights between two units, one number for each place around the position.",
    "mean": "Average activation over all images and positions.",
    "max": "Largest activation over all images and positions.",
    "min": "Smallest pre-activation over all images and positions.",
    "std": "Standard deviation of the activation: how much it varies.",
    "fraction_active": "Share of all positions where the activation is above zero.",
    "sparsity": "Excess kurtosis of the activation: large where the unit is silent on most images and strong on few.",
    "centre_max": "Largest pre-activation at the centre position over all images: the measure of neuron pictures.",
    "centre_min": "Smallest pre-activation at the centre position over all images.",
    "channel_mean_max": "Largest pre-activation averaged over positions: the measure of channel pictures.",
    "channel_mean_min": "Smallest pre-activation averaged over positions.",
    "histogram": "How often each value of the pre-activation occurred; most units are silent most of the time.",
    "top": "The images with the strongest response. They alone can mislead: look at the whole range below.",
    "quantiles": "Images from each part of the range, weakest to strongest: does the unit mean the same all along?",
    "bottom": "The images with the lowest pre-activation: what the unit is most against.",
    "random": "Images drawn by chance: what the unit makes of an ordinary image.",
    "exact": "The layers are directly connected, so the weight is exactly what the network uses.",
    "linearised": "Something nonlinear lies between the layers; the weight is its linear part.",
    "status_ok": "The optimisation worked as usual.",
    "status_dead_start": "The picture could be changed, but none of several starts made the unit respond.",
    "status_rescued": "The unit was silent at the start; a second attempt got it going.",
    "status_never_started": "No start gave a direction to improve: as far as can be seen, the image does not matter to the unit.",
    "status_saturated": "Every path to the unit is at a ceiling; more steps would change nothing.",
    "coverage": "How many units each technique has finished; a build that runs goes on while you look.",
    "provenance": "Where the weights, the images and the settings come from: what is needed to make this page again.",
}


def explain(term: str) -> str:
    """Return the plain explanation of a term, or an empty text."""
    return TERMS.get(term, "")
