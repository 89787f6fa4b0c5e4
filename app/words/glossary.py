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
    "objective_channel": "Driven by the unit's average over all positions: its pattern fills the picture.",
    "objective_neuron": "Driven by the unit at the middle position alone: one copy of its pattern, in its place.",
    "objective_diversity": "Several pictures made together and kept from looking alike: the things that the unit answers to.",
    "most": "Pictures that drive the unit up, by its average over the picture or at the middle alone.",
    "least": "Pictures that drive the unit down as far as possible: what it is most against.",
    "parameterization": "Pictures of the same unit that were made in other ways, for comparison.",
    "parameterization_maco": "The sizes of all frequencies are those of photographs and stay so; only where they lie is changed.",
    "parameterization_lucent": "Made by Lucent, with its own transforms and steps.",
    "facet": "One of several pictures of a unit that were made together and kept from looking alike.",
    "seed": "The number that fixes the random start: the same seed gives the same picture, another one a second opinion.",
    "draft": "Made quickly, with few steps; a build of final quality puts a better picture in its place.",
    "trace": "The response during the optimisation, from the first step to the last: it should rise and level out.",
    "selectivity_rank": "Place of this unit among all units of its layer for the picture: 1 means that no other answers more.",
    "selectivity_margin": "How far this unit's answer to the picture is ahead of the next unit's; below zero, another is ahead.",
    "similarity_auc": "How well likeness to the picture tells the unit's examples from other images: 1 always, 0.5 by chance.",
    "path_similarity": "How alike the layers below this one answer to the picture and to the unit's examples: 1 is the same.",
    "path_baseline": "The same comparison between the examples themselves: as alike as photographs of one thing are.",
    "path_chance": "The same comparison with images drawn by chance: what likeness comes for free.",
    "path_excess": "Where the likeness of path lies: 0 is what comes for free, 1 what the examples have among themselves.",
    "high_frequency_excess": "How much more fine detail the picture has than photographs; much of it is noise.",
    "seed_agreement": "How alike the pictures are that other random starts lead to: high where the picture is no accident.",
    "flag_not_reached": "The picture excites the unit less than some photograph does: the optimisation did not get far enough.",
    "flag_fragile": "Much of the response is lost when the picture is moved a little: maybe a trick of pixels, not a pattern.",
    "flag_not_selective": "Other units of the layer answer to it as much or more: it does not show what is special here.",
    "flag_unlike_examples": "The picture does not look like the images that excite the unit: trust the images more.",
    "flag_other_path": "The layers below answer to the picture in another way than to photographs: maybe an optical illusion.",
    "flag_high_frequency": "The picture has much more fine detail than photographs: part of it is noise.",
    "flag_seeds_disagree": "Other random starts lead to other pictures: the unit answers to several things, or chance made this.",
    "flag_dead_start": "The picture could be changed, but none of several starts made the unit respond.",
    "flag_never_started": "No start gave a direction to improve: as far as can be seen, the image does not matter to the unit.",
    "circuit": "A few units and the weights between them that together do something, such as finding curves.",
    "edge_rank": "Place of this edge among all that lead directly into the target, the largest norm first.",
    "weights": "How much one unit adds to or takes from another; red adds, blue takes away.",
    "kernel_label": "The ideal kernel (uniform, a gradient, a line, a spot, a spot against its surround, a ring) that it is most "
    "like; how much of its energy that and a constant account for; none where less than half. Angles: 0 right, 90 up.",
    "unfold": "Show the strongest partners of a card: the units that feed it, or those that it feeds.",
    "edge_share": "Of the squared norm of all weights into the unit at the end of the line: how much of what feeds it this is.",
    "threshold": "Hide weights that hold less than this share of the squared norm of all weights into their target.",
    "between": "Also draw weights between cards that are shown but were not unfolded, where their layers are directly linked.",
    "bypass": "Bottlenecks are narrow layers that only hand on. Left out, the weights over them are composed into one, "
    "with nonlinearities on the way counted as the identity.",
    "chance_share": "How many kernels would be called so if their numbers stood in another order: what comes for free.",
    "factor": "A group of partners with one common arrangement in the kernel, found by non-negative factorization.",
    "loading": "How much a partner takes part in a pattern; with a minus sign where it takes away.",
    "relative_error": "The norm of the weights that no pattern accounts for, as a share of the norm of all.",
    "filter": "The weights of a unit on the red, green and blue of the pixels: what it does with the image itself.",
    "weight_share": "Of the squared norm of all weights of the unit on this side.",
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
    "expanded": "The weights between layers that others lie between: kernels composed along every path and added up, "
    "nonlinearities counted as if they were not there.",
    "path_strength": "The product of the norms of the kernels along the path, or of each step's share of all that "
    "comes into its unit.",
    "weight_cosine": "1 where two units have the same weights up to a factor, 0 where they have nothing in common, "
    "-1 where opposite.",
    "motif_null": "The same weights, dealt out anew: the kernels into each unit to its sources; or all kernels into a unit "
    "turned together. No kernel changes its shape.",
    "linearised": "Something nonlinear lies between the layers; the weight is its linear part.",
    "status_ok": "The optimisation worked as usual.",
    "status_dead_start": "The picture could be changed, but none of several starts made the unit respond.",
    "status_rescued": "The unit was silent at the start; a second attempt got it going.",
    "status_never_started": "No start gave a direction to improve: as far as can be seen, the image does not matter to the unit.",
    "status_saturated": "Every path to the unit is at a ceiling; more steps would change nothing.",
    "coverage": "How many units each technique has finished; a build that runs goes on while you look.",
    "similar_units": "Units that answer to the same images: the stronger one, the stronger the other.",
    "response_profile": "A unit's activation averaged over positions, image by image: unlike the largest activation, it does "
    "not stop at a ceiling.",
    "correlation": "1 where two units rise and fall together over the images, 0 where they have nothing to do with each other, "
    "-1 where one rises as the other falls.",
    "permuted_images": "The unit's activations dealt out to other images, and compared with the same units: what the best of so "
    "many reaches by chance.",
    "label_responses": "The images grouped by their label, and how strongly the unit answers to each group.",
    "label_mean": "Averaged over positions and over all images of the label.",
    "eta_squared": "Eta squared: the share of the variance over images that lies between labels, 0 none of it, 100 % all.",
    "logit_weights": "How much the unit, where it is active, speaks for a class or against it: the weights into the classifier.",
    "activation_map": "Where in the image the unit is active: orange most, dark not at all, on one scale for all its examples.",
    "layer_map": "All units of a layer in the plane; those that answer to the same images lie near each other.",
    "neighbours_kept": "How many of the units nearest by correlation are among the nearest on the map: a plane cannot keep all.",
    "matched_units": "Pairs, one of each layer, that are each other's best of those left, by correlation on the same images.",
    "provenance": "Where the weights, the images and the settings come from: what is needed to make this page again.",
    "architecture": "The layers of the network, and the paths that data takes from one to the next.",
    "map_size": "Height and width of what a layer makes of an image: so many positions, with one number for each unit at each.",
    "stretched": "Most values are close together and a few far away: each bar away from the middle spans more than the one "
    "before, so that the sliders can tell most units apart.",
    "counted": "A build counts all units after each of its stages, and about once a minute while it makes pictures; what was "
    "made since is not in this list yet.",
    "likeness": "How alike two images are in textures, orientations and colours, as no network sees them: 1 is the same, 0 as "
    "alike as two images of the dataset are on average, below 0 less.",
    "likeness_score": "How much more the unit's nine strongest examples are like this image than like the other images of the "
    "dataset, in standard deviations over those.",
    "likeness_control": "The same search for images drawn by chance from the dataset: what any image finds.",
    "likeness_shuffled": "The same search for the numbers of this image in another order: what no image looks like.",
    "said": "Labels, notes and stars of people who looked at it. Nobody checks them: they are hypotheses, not findings.",
    "people_label": "What somebody holds it to be for, in a few words: a hypothesis, perhaps with evidence beside it.",
    "note": "Anything else that somebody has to say about it.",
    "star": "A mark that somebody set: worth a second look.",
    "list": "An ordered set of units and layers that somebody put together, with a remark on each.",
    "quick_list": "Its address says all that is in it: nothing is stored, and whoever has the link has the list.",
    "evidence_for": "Units or images that the author of the label takes as support for it.",
    "evidence_against": "Units or images that do not fit the label, as its author says.",
}


NAMES = {
    "num_flags": "Doubts about it",
    "reached_ratio": "Against the strongest photograph",
    "robustness": "Left under small changes",
    "selectivity_rank": "Place among all units",
    "selectivity_margin": "Lead over the next unit",
    "similarity_auc": "Likeness to its examples",
    "path_similarity": "Likeness of path",
    "path_baseline": "Likeness of path, among its examples",
    "path_chance": "Likeness of path, by chance",
    "path_excess": "Likeness of path above chance",
    "high_frequency_excess": "Fine detail beyond photographs",
    "seed_agreement": "Agreement of other seeds",
    "flag_not_reached": "weaker than photographs",
    "flag_fragile": "fragile",
    "flag_not_selective": "others answer more",
    "flag_unlike_examples": "unlike its examples",
    "flag_other_path": "another path",
    "flag_high_frequency": "fine noise",
    "flag_seeds_disagree": "seeds disagree",
    "flag_dead_start": "no response",
    "flag_never_started": "never started",
}
PICTURE = "picture_"
"""What the metrics of a unit that are scores of its leading picture begin with."""


def explain(term: str) -> str:
    """Return the plain explanation of a term, or an empty text."""
    return TERMS.get(term, "") or TERMS.get(term.removeprefix(PICTURE), "")


def name(term: str, otherwise: str) -> str:
    """Return the name of a score or a flag in plain words, or else the one that is given."""
    return NAMES.get(term.removeprefix(PICTURE), otherwise)
