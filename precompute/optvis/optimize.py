"""The loop: many images at once, one objective each, no image knowing of the others.

Batching is continuous: the batch has a fixed number of places, a picture that has converged (or has been given up) leaves
its place, and the next one enters. Everything that is drawn comes from the generator of the image it is for, and every
operation is per image or per element, so that a picture does not depend on its batch-mates or on when it entered. (The
kernels that PyTorch picks do depend on the size of the batch, which is therefore fixed.)

Nothing in a step waits for the device: what happened is looked at every `CHECK_EVERY` steps.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from precompute.optvis.objectives import Objective
from precompute.optvis.parameterizations import Parameterization, draw_backgrounds
from precompute.optvis.rescue import open_dead_ends
from precompute.optvis.transforms import AffineRange, Warp, add_noise, draw_affine, lay_on
from precompute.optvis.update import Nadam

Evaluate = Callable[[Tensor], Tensor]
"""From pixels `[batch, rgb, height, width]` between 0 and 1 to values `[batch]`."""

CHECK_EVERY = 16
"""Steps between two looks at what happened; pictures enter and leave at these."""
PATIENCE = 16
"""An image without any gradient in its first steps is given up after so many, whatever its batch-mates do."""
RESCUE_SHARE = 0.5
"""Share of the steps of a rescue in which a gradient may pass what is shut for a whole image; lucid's 16 steps are too few to
paint the pattern that opens a unit far below its threshold."""
FADE_SHARE = 0.5
"""Share of the steps during which the noise of the start is taken away again: it wakes units, and is nothing to look at."""
GREY = 0.5
"""What transparent images are laid on when they are scored."""
SETTLED_SHARE = 0.75
"""Share of the steps before which no picture is called converged."""


@dataclass(frozen=True)
class Start:
    """One try of one objective.

    Attributes:
        objective: What its images are for.
        generators: One for each of its images: the start and the transforms come from it.
        contrast: Of the start.
        is_rescue: Whether the first steps may pass through nonlinearities that are shut for the whole image.
        tag: Whatever the caller wants to know it by.
    """

    objective: Objective
    generators: Sequence[Generator]
    contrast: float = 0.2
    is_rescue: bool = False
    tag: Hashable = None


@dataclass(frozen=True)
class Finish:
    """What one try leaves behind; a row for each of its images.

    Attributes:
        start: The try.
        images: Pixels `[image, channel, height, width]` between 0 and 1.
        trace: Values under the transforms `[step, image]`.
        initial: Value of each untransformed image before the first step `[image]`.
        value: Value of each untransformed image after the last `[image]`.
        num_steps: How many steps were taken.
        last_live_step: The last step with a finite gradient that was not zero, -1 where there was none, `[image]`.
    """

    start: Start
    images: Tensor
    trace: Tensor
    initial: Tensor
    value: Tensor
    num_steps: int
    last_live_step: Tensor


@dataclass(frozen=True)
class Settings:
    """How images are optimised.

    Attributes:
        num_steps: At most.
        bounds: Of the random views; each image sees its own in every step.
        learning_rate: Of the update; constant.
        least_gain: A picture has converged where its mean value over `CHECK_EVERY` steps rose by less than this share of it.
            0 means that all steps are taken.
        uses_bfloat16: Whether the network runs in bfloat16; what is reported is always read in float32.
    """

    num_steps: int
    bounds: AffineRange
    learning_rate: float = 0.05
    least_gain: float = 0.0
    uses_bfloat16: bool = False


@dataclass
class _Place:
    """The part of a batch that one try has: its rows, and how far it is."""

    rows: slice
    start: Start | None = None
    step: int = 0


class Ascent:
    """Images under way.

    Args:
        make_evaluate: From the objectives of a whole batch to their values.
        parameterization: How images are written down.
        settings: How they are optimised.
        num_places: How many objectives are under way at once.
        num_images: Images of one objective.
        device: Where.
    """

    def __init__(
        self,
        make_evaluate: Callable[[Sequence[Objective]], Evaluate],
        parameterization: Parameterization,
        settings: Settings,
        num_places: int,
        num_images: int = 1,
        device: torch.device | None = None,
    ) -> None:
        self.settings = settings
        self.parameterization = parameterization
        self._make_evaluate = make_evaluate
        self._device = device if device is not None else torch.device("cpu")
        self._places = [_Place(slice(place * num_images, (place + 1) * num_images)) for place in range(num_places)]
        self._num_rows = num_places * num_images
        self._warp = Warp(parameterization.canvas_px, self._device)
        self._num_fading = max(1, round(settings.num_steps * FADE_SHARE))
        self._is_made = False

    def run(self, starts: Iterable[Start]) -> Iterator[Finish]:
        """Yield each try as it ends. All must have objectives of one signature; each is asked for when there is room for it."""
        waiting = iter(starts)
        while True:
            self._enter(waiting)
            if all(place.start is None for place in self._places):
                return
            self._advance()
            yield from self._leave()

    # -- entering and leaving ----------------------------------------------------------------------------------------

    def _enter(self, waiting: Iterator[Start]) -> None:
        """Fill free places; those that stay free repeat the first, and are not looked at."""
        free = [place for place in self._places if place.start is None]
        entered = []
        for place, start in zip(free, waiting, strict=False):
            place.start, place.step = start, 0
            entered.append(place)
        for place in entered:
            self._begin(place)
        if not entered:
            return
        filler = next(place.start for place in self._places if place.start is not None)
        objectives = [(place.start or filler).objective for place in self._places]
        self._evaluate = self._make_evaluate(objectives)
        initial = self._read(self._update.state)
        for place in entered:
            self._initial[place.rows] = initial[place.rows]

    def _begin(self, place: _Place) -> None:
        start = place.start
        if start is None:
            raise RuntimeError("nothing entered")
        fresh = self.parameterization.start(start.generators, start.contrast).to(self._device)
        if not self._is_made:
            self._make(fresh)
        fading = self.parameterization.fading(fresh)
        self._update.enter(place.rows, fresh, None if fading is None else fading / self._num_fading)
        canvas_px, bounds = self.parameterization.canvas_px, self.settings.bounds
        self._draws[:, place.rows] = draw_affine(bounds, canvas_px, start.generators, self.settings.num_steps).to(self._device)
        self._last_live[place.rows] = -1
        self._step[place.rows] = 0

    def _make(self, fresh: Tensor) -> None:
        """Make the tensors of the batch; a row that never had a picture holds the first."""
        rows, num_steps = self._num_rows, self.settings.num_steps
        state = fresh[:1].repeat(rows, *[1] * (fresh.ndim - 1))
        rate = self.parameterization.learning_rate or self.settings.learning_rate
        self._update = Nadam(state, rate, num_steps, self._num_fading)
        self._draws = torch.eye(2, 3, device=self._device).repeat(num_steps, rows, 1, 1)
        self._initial = torch.zeros(rows, device=self._device)
        self._last_live = torch.full((rows,), -1, device=self._device)
        self._step = torch.zeros(rows, dtype=torch.int64, device=self._device)
        self._rows = torch.arange(rows, device=self._device)
        self._trace = torch.zeros(num_steps, rows, device=self._device)
        self._is_made = True

    def _leave(self) -> Iterator[Finish]:
        """Yield what has ended, and free its places."""
        last_live, trace = self._last_live.cpu(), self._trace.cpu()
        ended = [place for place in self._places if place.start is not None and self._has_ended(place, last_live, trace)]
        if not ended:
            return
        value = self._read(self._update.state).cpu()
        images = self._image(self._update.state).cpu()
        initial = self._initial.cpu()
        for place in ended:
            start, rows = place.start, place.rows
            place.start = None
            if start is not None:
                # Clones: the caller keeps them, and the batch goes on.
                yield Finish(
                    start,
                    images=images[rows].clone(),
                    trace=trace[: place.step, rows].clone(),
                    initial=initial[rows].clone(),
                    value=value[rows].clone(),
                    num_steps=place.step,
                    last_live_step=last_live[rows].clone(),
                )

    def _has_ended(self, place: _Place, last_live: Tensor, trace: Tensor) -> bool:
        if place.step >= self.settings.num_steps or bool((last_live[place.rows] < 0).all()):
            return True
        if not self.settings.least_gain or place.step < max(self.settings.num_steps * SETTLED_SHARE, 2 * CHECK_EVERY):
            return False
        recent = trace[place.step - 2 * CHECK_EVERY : place.step, place.rows].unflatten(0, (2, CHECK_EVERY)).mean(1)
        return bool(((recent[1] - recent[0]) < self.settings.least_gain * recent[1].abs()).all())

    # -- steps -------------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take the steps until the next look."""
        num_steps = min(CHECK_EVERY, *(self.settings.num_steps - place.step for place in self._places if place.start is not None))
        for _ in range(num_steps):
            self._climb()
            for place in self._places:
                if place.start is not None:
                    place.step += 1
            self._step += 1
            self._step.clamp_(max=self.settings.num_steps - 1)

    def _climb(self) -> None:
        """Take one step with every image."""
        step = self._step.clone()
        state = self._update.state.detach().requires_grad_(True)
        images = self.parameterization.image(state)
        seen = self._view(images)
        with self._network(), open_dead_ends(self._rescued()):
            values = self._evaluate(seen)
        values = _with_opacity(values, images)
        (gradient,) = torch.autograd.grad(values.sum(), state)
        # The largest size is NaN or infinite as soon as one element is.
        size = gradient.abs().flatten(1).amax(1)
        is_live = size.isfinite() & (size > 0)
        is_given_up = (step >= PATIENCE) & (self._last_live < 0)
        is_live &= ~is_given_up
        self._last_live = torch.where(is_live, step, self._last_live)
        self._update.climb(gradient, step, is_live)
        self._trace.scatter_(0, step[None], values.detach()[None])

    def _rescued(self) -> Tensor | None:
        """Return which images may pass through shut nonlinearities in this step: bool `[batch]`, None where none may."""
        last = self.settings.num_steps * RESCUE_SHARE
        rescued = [place for place in self._places if place.start and place.start.is_rescue and place.step < last]
        if not rescued:
            return None
        rows = torch.zeros(self._num_rows, dtype=torch.bool)
        for place in rescued:
            rows[place.rows] = True
        return rows.to(self._device)

    def _view(self, images: Tensor) -> Tensor:
        """Return what the network sees of each image in this step; nothing is drawn for rows without a try."""
        seen = self._warp(images, self._draws[self._step, self._rows])
        generators: list[Generator | None] = []
        for place in self._places:
            count = place.rows.stop - place.rows.start
            generators += place.start.generators if place.start is not None else [None] * count
        if images.shape[1] == 4:
            seen = lay_on(seen, draw_backgrounds(self.parameterization.canvas_px, generators).to(self._device))
        return add_noise(seen, self.settings.bounds, generators)

    def _image(self, state: Tensor) -> Tensor:
        with torch.no_grad():
            return self.parameterization.image(state)

    def _read(self, state: Tensor) -> Tensor:
        """Return the clean value of every image."""
        with torch.no_grad():
            images = self.parameterization.image(state)
            seen = images if images.shape[1] == 3 else lay_on(images, torch.tensor(GREY))
            return self._evaluate(seen)

    def _network(self) -> torch.autocast | nullcontext[None]:
        if not self.settings.uses_bfloat16:
            return nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)


def _with_opacity(values: Tensor, images: Tensor) -> Tensor:
    """Return values times one minus the mean opacity, where there is one: what is not needed becomes transparent (lucid)."""
    if images.shape[1] == 3:
        return values
    return torch.where(values > 0, values * (1 - images[:, 3].mean((1, 2))), values)
