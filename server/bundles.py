"""Bundles live: a new one is verified and tried out beside the one that serves, then takes its place in one step.

    CURRENT changed, or ReloadBundle ▶ load: hashes, shapes, golden case ┐
    new items in the catalogue ──────────────────────────────────────────┴▶ place new items ▶ lay it over ▶ swap

The one before stays at hand, so that going back is one assignment. States carry the version of the bundle that made
their vectors, and are encoded again as they are served: nothing is converted at a swap, and consumers may follow later.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from interests import bundle as bundles
from interests.encoder import Encoder
from interests.errors import BundleRejected
from interests.manifest import VERSION_PATTERN
from ranking.recommend import Ranker
from server.catalogue import Catalogue, own_arrays
from server.metrics import Metrics
from server.newcomers import Placed, place, try_out
from server.states import Serving

WATCH_S = 0.5
PLACE_S_MIN, PLACE_REST = 1.0, 4.0  # between two placings: a second, and four times as long as the first of them took

log = logging.getLogger(__name__)


def build(path: Path, device: str) -> Serving:
    """Load what `path` names and try it out. Raises BundleRejected. Takes seconds: for a thread of its own."""
    bundle = own_arrays(bundles.load(path))
    serving = Serving(bundle, Encoder(bundle, device), Ranker(bundle, may_approximate=True))
    try:
        try_out(serving)
    except Exception as error:
        raise BundleRejected(f"{path}: cannot be ranked from: {type(error).__name__}: {error}") from error
    return serving


class Bundles:
    """Which bundle is served, which was before, and the watch over the directory. Used from the event loop alone.

    on_swap is called with what is served from then on, in the same step; on_place too, where new items were placed in
    the bundle that is served, and with ids of items that slates show where those may come in.
    """

    def __init__(
        self,
        path: Path,
        device: str,
        serving: Serving,
        catalogue: Catalogue,
        metrics: Metrics,
        on_swap: Callable[[Serving], None],
        on_place: Callable[[Serving, frozenset[str]], None],
    ) -> None:
        self._path = path
        self._device = device
        self._catalogue = catalogue
        self._metrics = metrics
        self._on_swap = on_swap
        self._on_place = on_place
        self._turn = asyncio.Lock()
        self._refused = ""
        self._watching: asyncio.Task[None] | None = None
        self._placing: asyncio.Task[None] | None = None
        self._now = Placed(serving, serving)
        self._before: Placed | None = None
        catalogue.lay_over(serving.bundle)

    @property
    def serving(self) -> Serving:
        """What is served."""
        return self._now.serving

    @property
    def previous(self) -> Serving | None:
        """What was served before another bundle came."""
        return self._before.serving if self._before else None

    def watch(self) -> None:
        """Follow the directory's CURRENT from now on; a path to one bundle never changes."""
        if (self._path / bundles.CURRENT).is_file():
            self._watching = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        """End the watch, and leave what is being placed."""
        for task in (self._watching, self._placing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def place(self) -> None:
        """Serve the catalogue's new items too; returns once they are."""
        async with self._turn:
            if self._catalogue.arrivals != self._now.arrivals:
                self._now = placed = await self._placed(self._now)
                self._catalogue.lay_over(placed.serving.bundle, placed.base.bundle, placed.items)
                self._on_place(placed.serving, placed.beside)

    def place_soon(self) -> None:
        """The same beside all else, if anything is new."""
        if self._catalogue.arrivals != self._now.arrivals and (self._placing is None or self._placing.done()):
            self._placing = asyncio.ensure_future(self._place_all())

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
            if self._before is None:
                raise BundleRejected("no bundle was served before this one; name one by its version")
            version = self._before.serving.bundle.version
            self._swap(self._before)
            if (self._path / bundles.CURRENT).is_file():
                await asyncio.to_thread(bundles.set_current, self._path, version)

    async def _place_all(self) -> None:
        while self._catalogue.arrivals != self._now.arrivals:
            started_s = time.monotonic()
            await self.place()
            took_s = time.monotonic() - started_s
            await asyncio.sleep(max(PLACE_S_MIN - took_s, PLACE_REST * took_s))

    async def _placed(self, now: Placed) -> Placed:
        arrivals = self._catalogue.arrivals
        try:
            return await asyncio.to_thread(place, now.base, self._catalogue.items(), arrivals, now.items)
        except Exception:
            log.exception("new items could not be placed; what is served stays, the next change is another try")
            return replace(now, arrivals=arrivals)

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
        if self._before is not None and path.name == self._before.serving.bundle.version:
            self._swap(self._before)
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
            self._swap(await self._placed(Placed(serving, serving)))

    def _swap(self, to: Placed) -> None:
        self._before, self._now = self._now, to
        self._refused = ""
        self._catalogue.lay_over(to.serving.bundle, to.base.bundle, to.items)
        self._metrics.bundle_swaps.inc()
        self._on_swap(to.serving)
        was = self._before.serving.bundle.version
        log.info("serving from another bundle", extra={"bundle": to.serving.bundle.version, "before": was})
        self.place_soon()


def _named(directory: Path, version: str) -> Path:
    """A bundle in a directory of them. Raises BundleRejected."""
    if not (directory / bundles.CURRENT).is_file():
        raise BundleRejected("this server serves one bundle and no directory of them; start it with the directory")
    path = directory / version
    if not re.fullmatch(VERSION_PATTERN, version) or version.startswith(".") or path.is_symlink() or not path.is_dir():
        raise BundleRejected(f"{version[:64]!r} is not a bundle in the server's directory")
    return path
