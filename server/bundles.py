"""Bundles live: a new one is verified and tried out beside the one that serves, then takes its place in one step.

    CURRENT changed, or ReloadBundle ▶ load: hashes, shapes, golden case ▶ lay the catalogue over ▶ swap

The one before stays at hand, so that going back is one assignment. States carry the version of the bundle that made
their vectors, and are encoded again as they are served: nothing is converted at a swap, and consumers may follow later.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from interests import bundle as bundles
from interests.encoder import Encoder
from interests.errors import BundleRejected
from interests.manifest import VERSION_PATTERN
from ranking.query import Query
from ranking.recommend import Ranker
from server.catalogue import Catalogue, own_arrays
from server.metrics import Metrics
from server.states import Serving, anonymous_state, fresh_view

WATCH_S = 0.5
TRIAL_ITEMS = 3

log = logging.getLogger(__name__)


def build(path: Path, device: str) -> Serving:
    """Load what `path` names and try it out. Raises BundleRejected. Takes seconds: for a thread of its own."""
    bundle = own_arrays(bundles.load(path))
    serving = Serving(bundle, Encoder(bundle, device), Ranker(bundle, may_approximate=True))
    # One slate of somebody warms up what is made on first use, and shows that ranking can use the arrays.
    recent = tuple(bundle.item_ids[:TRIAL_ITEMS])
    try:
        view = fresh_view(anonymous_state(recent, bundle), serving)
        choice = serving.ranker.choose(view.profile, Query(diversity=0.5))
        serving.writer.body(view.profile, choice, "trial", "", {})
    except Exception as error:
        raise BundleRejected(f"{path}: cannot be ranked from: {type(error).__name__}: {error}") from error
    return serving


class Bundles:
    """Which bundle is served, which was before, and the watch over the directory. Used from the event loop alone.

    on_swap is called with what is served from then on, in the same step.
    """

    def __init__(
        self,
        path: Path,
        device: str,
        serving: Serving,
        catalogue: Catalogue,
        metrics: Metrics,
        on_swap: Callable[[Serving], None],
    ) -> None:
        self._path = path
        self._device = device
        self._catalogue = catalogue
        self._metrics = metrics
        self._on_swap = on_swap
        self._turn = asyncio.Lock()
        self._refused = ""
        self._watching: asyncio.Task[None] | None = None
        self.serving = serving
        self.previous: Serving | None = None
        catalogue.lay_over(serving.bundle)

    def watch(self) -> None:
        """Follow the directory's CURRENT from now on; a path to one bundle never changes."""
        if (self._path / bundles.CURRENT).is_file():
            self._watching = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        """End the watch."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def reload(self, version: str = "") -> None:
        """Serve the bundle of this version in the directory, or what its CURRENT names. Raises BundleRejected."""
        async with self._turn:
            if not version:
                await self._serve(bundles.resolve(self._path))
                return
            path = _named(self._path, version)
            await self._serve(path)
            await asyncio.to_thread(bundles.set_current, self._path, version)

    async def rollback(self) -> None:
        """Serve the one before again, and name it for all who watch. Raises BundleRejected where there is none."""
        async with self._turn:
            if self.previous is None:
                raise BundleRejected("no bundle was served before this one; name one by its version")
            version = self.previous.bundle.version
            self._swap(self.previous)
            if (self._path / bundles.CURRENT).is_file():
                await asyncio.to_thread(bundles.set_current, self._path, version)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                async with self._turn:
                    path = bundles.resolve(self._path)
                    if path.name not in (self.serving.bundle.version, self._refused):
                        await self._serve(path)
            except (BundleRejected, OSError):
                continue  # said where it was found; the next look may find it put right

    async def _serve(self, path: Path) -> None:
        if path.name == self.serving.bundle.version:
            return
        if self.previous is not None and path.name == self.previous.bundle.version:
            self._swap(self.previous)
            return
        try:
            serving = await asyncio.to_thread(build, path, self._device)
        except BundleRejected as error:
            # Once for each name: whoever puts it right publishes it under another, or asks for it again.
            self._refused = path.name
            self._metrics.bundles_refused.inc()
            log.error("a bundle was refused; the one before goes on serving", extra={"reason": str(error)})
            raise
        if serving.bundle.version != self.serving.bundle.version:
            self._swap(serving)

    def _swap(self, serving: Serving) -> None:
        self.previous, self.serving = self.serving, serving
        self._refused = ""
        self._catalogue.lay_over(serving.bundle)
        self._metrics.bundle_swaps.inc()
        self._on_swap(serving)
        was = self.previous.bundle.version
        log.info("serving from another bundle", extra={"bundle": serving.bundle.version, "before": was})


def _named(directory: Path, version: str) -> Path:
    """A bundle in a directory of them. Raises BundleRejected."""
    if not (directory / bundles.CURRENT).is_file():
        raise BundleRejected("this server serves one bundle and no directory of them; start it with the directory")
    path = directory / version
    if not re.fullmatch(VERSION_PATTERN, version) or version.startswith(".") or path.is_symlink() or not path.is_dir():
        raise BundleRejected(f"{version[:64]!r} is not a bundle in the server's directory")
    return path
