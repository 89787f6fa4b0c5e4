"""The photographs that the scikit-image and scikit-learn wheels carry, and whom to thank for them.

Drawn pictures (chessboard, phantom, colour wheel, logo, horse) are left out, and so are the second picture of the stereo
pair and the detail of the retina: they show again what another photograph shows. Authors and licences are those that the
two packages state.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from precompute.errors import ImagesError
from precompute.stimuli.base import Credit

_FOLDERS = {"scikit-image": ("skimage", "data"), "scikit-learn": ("sklearn", "datasets/images")}
_CC0 = "CC0 1.0"
_CC_BY = "CC BY 2.0"
_PUBLIC_DOMAIN = "Public domain"
_NONE_KNOWN = "No known copyright restrictions"
_GALLERY = "https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data."

MANY, SOME, FEW = 170, 110, 60
"""How many crops a photograph gives at most: many things to see, one kind of thing, one texture."""


@dataclass(frozen=True)
class Photograph:
    """One photograph.

    Attributes:
        file: Its name in the package.
        package: The distribution that carries it.
        title: What it shows.
        author: Who made it.
        licence: As the package states it.
        url: Where the package says that it comes from.
        max_crops: How many crops of it are worth having.
    """

    file: str
    package: str
    title: str
    author: str
    licence: str
    url: str
    max_crops: int

    @property
    def label(self) -> str:
        """Return its plain name."""
        return self.file.partition(".")[0].replace("_", " ")

    @property
    def credit(self) -> Credit:
        """Return whom to name on the page."""
        return Credit(self.file, self.title, self.author, self.licence, self.url)


PHOTOGRAPHS = (
    Photograph(
        "astronaut.png",
        "scikit-image",
        "Eileen Collins, astronaut",
        "NASA",
        _PUBLIC_DOMAIN,
        "https://flic.kr/p/r9qvLn",
        MANY,
    ),
    Photograph(
        "camera.png",
        "scikit-image",
        "A photographer and his camera",
        "Lav Varshney",
        _CC0,
        "https://github.com/scikit-image/scikit-image/issues/3927",
        MANY,
    ),
    Photograph(
        "cell.png",
        "scikit-image",
        "A cell floating in saline, quantitative phase image",
        "Paul Müller, Mirjam Schürmann, Salvatore Girardo, Gheorghe Cojoc, Jochen Guck",
        _CC0,
        "https://doi.org/10.1364/OE.26.010729",
        FEW,
    ),
    Photograph("chelsea.png", "scikit-image", "Chelsea, a cat", "Stéfan van der Walt", _CC0, f"{_GALLERY}chelsea", MANY),
    Photograph(
        "china.jpg",
        "scikit-learn",
        "A temple in China",
        "danielbuechele",
        _CC_BY,
        "https://www.flickr.com/photos/danielbuechele/6061409035/sizes/z/in/photostream/",
        MANY,
    ),
    Photograph(
        "clock_motion.png",
        "scikit-image",
        "A wall clock, blurred by motion",
        "Stéfan van der Walt",
        _PUBLIC_DOMAIN,
        f"{_GALLERY}clock",
        FEW,
    ),
    Photograph("coffee.png", "scikit-image", "A cup of coffee", "Rachel Michetti", _CC0, f"{_GALLERY}coffee", MANY),
    Photograph(
        "coins.png",
        "scikit-image",
        "Greek coins from Pompeii",
        "Brooklyn Museum",
        _NONE_KNOWN,
        "https://www.brooklynmuseum.org/opencollection/archives/image/51611",
        SOME,
    ),
    Photograph(
        "flower.jpg",
        "scikit-learn",
        "A flower",
        "vultilion",
        _CC_BY,
        "https://www.flickr.com/photos/vultilion/6056698931/sizes/z/in/photostream/",
        MANY,
    ),
    Photograph(
        "hubble_deep_field.jpg",
        "scikit-image",
        "Hubble eXtreme Deep Field",
        "NASA, ESA and the Hubble team",
        _PUBLIC_DOMAIN,
        "http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/",
        SOME,
    ),
    Photograph(
        "ihc.png",
        "scikit-image",
        "Colonic glands, immunohistochemical staining",
        "Center for Microscopy And Molecular Imaging (CMMI)",
        _NONE_KNOWN,
        f"{_GALLERY}immunohistochemistry",
        SOME,
    ),
    Photograph(
        "moon.png", "scikit-image", "Surface of the moon", "not stated", "Carried by scikit-image", f"{_GALLERY}moon", FEW
    ),
    Photograph(
        "motorcycle_left.png",
        "scikit-image",
        "A motorcycle in a garage",
        "D. Scharstein, H. Hirschmüller, Y. Kitajima, G. Krathwohl, N. Nesic, X. Wang, P. Westling",
        "Middlebury 2014 stereo data set, carried by scikit-image",
        "http://vision.middlebury.edu/stereo/data/scenes2014/",
        MANY,
    ),
    Photograph("page.png", "scikit-image", "A printed page", "not stated", "Carried by scikit-image", f"{_GALLERY}page", FEW),
    Photograph(
        "retina.jpg",
        "scikit-image",
        "A human retina",
        "Mikael Häggström",
        _CC0,
        "https://commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
        SOME,
    ),
    Photograph(
        "rocket.jpg",
        "scikit-image",
        "DSCOVR on a Falcon 9",
        "SpaceX",
        _PUBLIC_DOMAIN,
        "https://www.flickr.com/photos/spacexphotos/16511594820/in/photostream/",
        MANY,
    ),
    Photograph(
        "text.png",
        "scikit-image",
        "Handwriting on paper",
        "not stated",
        _PUBLIC_DOMAIN,
        "https://en.wikipedia.org/wiki/File:Corner.png",
        FEW,
    ),
    Photograph(
        "brick.png",
        "scikit-image",
        "A brick wall",
        "CC0Textures",
        _CC0,
        "https://cc0textures.com/view.php?tex=Bricks25",
        FEW,
    ),
    Photograph(
        "grass.png",
        "scikit-image",
        "Grass",
        "linolafett",
        _CC0,
        "https://www.deviantart.com/linolafett/art/Grass-01-434853879",
        FEW,
    ),
    Photograph("gravel.png", "scikit-image", "Gravel", "CC0Textures", _CC0, "https://cc0textures.com/view.php?tex=Gravel04", FEW),
)


def folder_of(package: str) -> Path:
    """Return the folder where a distribution keeps its photographs, without importing it.

    Raises:
        ImagesError: The distribution is not installed.
    """
    module, inside = _FOLDERS[package]
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ImagesError(
            f"The embedded photographs are in the package {package}, which is not installed. "
            '`pip install "unitscope[demo]"` brings it; or give --images a folder of your own.'
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside
