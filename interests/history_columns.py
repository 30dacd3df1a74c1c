"""What the columns of a history mean: times, actions and values of many spellings, each guess said aloud."""

import math

import polars as pl

from interests.events import STARS_MAX, TIME_MS_MAX, VALUE_MAX, Action

ALIASES = {
    "user_id": (
        *("user", "uid", "customer_id", "customer", "household_id", "household_key", "household", "visitor_id"),
        *("reviewer_id", "member_id", "account_id", "client_id", "person_id", "user_session", "session_id"),
    ),
    "item_id": (
        *("item", "iid", "product_id", "product", "movie_id", "movie", "article_id", "asin", "parent_asin", "sku"),
        *("track_id", "artist_id", "book_id", "isbn", "video_id", "content_id", "business_id", "stock_code"),
    ),
    "timestamp": (
        *("time", "ts", "datetime", "date", "time_ms", "timestamp_ms", "event_time", "event_timestamp", "created_at"),
        *("transaction_timestamp", "unix_review_time", "review_time", "occurred_at", "t_dat", "invoice_date", "day"),
    ),
    "action": ("event_type", "event", "event_name", "behavior", "behaviour", "behavior_type", "interaction", "type"),
    "value": ("rating", "stars", "score", "overall", "quantity", "qty", "amount", "count"),
    "event_id": ("event_uuid", "interaction_id"),
}
_RATING_NAMES = ("rating", "stars", "score", "overall")
_OTHER_WORDS = {
    **dict.fromkeys(("BUY", "ORDER", "TRANSACTION", "PURCHASED"), Action.PURCHASE),
    **dict.fromkeys(("ADDTOCART", "ADD_TO_CART", "ADD-TO-CART", "BASKET"), Action.CART),
    **dict.fromkeys(("PAGEVIEW", "PAGE_VIEW", "PV", "DETAIL"), Action.VIEW),
    **dict.fromkeys(("FAV", "FAVORITE", "FAVOURITE", "SAVE", "SHARE"), Action.LIKE),
    "RATE": Action.RATING,
}
_UNITS = (  # by the size of the numbers: (below, milliseconds in one, name)
    (1e11, 1e3, "seconds"),
    (1e14, 1.0, "milliseconds"),
    (1e17, 1e-3, "microseconds"),
    (math.inf, 1e-6, "nanoseconds"),
)
_ISO = (
    r"^(?<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<part>\d{1,9}))?)?)?"
    r"\s*(?:[Zz]|UTC|(?<sign>[+-])(?<zone_hour>\d{2}):?(?<zone_minute>\d{2})?)?$"
)


def times_ms(series: pl.Series, guesses: list[str]) -> pl.Series | None:
    """Milliseconds since 1970, null where a time cannot be read or lies outside 1970 to 2100; None: no times at all.

    Takes dates, times with or without zone (without: UTC), ISO 8601 text, and numbers, whose unit the median tells.
    """
    dtype = series.dtype
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        found = series.cast(pl.Datetime("ms")) if dtype == pl.Date else series.dt.cast_time_unit("ms")
        ms = found.dt.epoch("ms")
    elif dtype.is_numeric():
        ms = _numbers_ms(series, guesses)
    elif dtype == pl.String:
        text = series.str.strip_chars()
        numbers = text.cast(pl.Float64, strict=False)
        filled = (text.is_not_null() & (text != "")).sum()
        ms = _numbers_ms(numbers, guesses) if numbers.count() * 2 > filled else _iso_ms(text)
    elif dtype == pl.Null:
        ms = series.cast(pl.Int64)
    else:
        return None
    return ms.set(~ms.is_between(0, TIME_MS_MAX), None)


def actions(series: pl.Series) -> pl.Series:
    """Numbers of our actions, null where a word is none of theirs."""
    words = {action.name: int(action) for action in Action} | {str(int(a)): int(a) for a in Action}
    words |= {word: int(action) for word, action in _OTHER_WORDS.items()}
    text = series.cast(pl.String, strict=False).str.strip_chars().str.to_uppercase().str.strip_prefix("ACTION_")
    return text.replace_strict(words, default=None, return_dtype=pl.Int32)


def guess_action(frame: pl.DataFrame, value_column: str | None, guesses: list[str]) -> Action:
    """What a history without actions is a history of. `frame` has user_id, time_ms and perhaps value."""
    if value_column is not None and _looks_like_ratings(frame["value"], value_column):
        guesses.append(f"no action: {value_column} looks like ratings, taken as RATING")
        return Action.RATING
    baskets = frame.select(pl.struct("user_id", "time_ms").is_duplicated().mean()).item() or 0.0
    if value_column is not None or baskets > 0.3:
        why = f"{value_column} looks like a quantity" if value_column else "items come in baskets"
        guesses.append(f"no action: {why}, taken as PURCHASE")
        return Action.PURCHASE
    guesses.append("no action: taken as CLICK")
    return Action.CLICK


def values(series: pl.Series) -> tuple[pl.Series, pl.Series]:
    """(numbers, which rows hold something that is no value of ours)."""
    if series.dtype == pl.String:
        text = series.str.strip_chars()
        text = text.set(text == "", None)
        numbers, filled = text.cast(pl.Float64, strict=False), text.is_not_null()
    else:
        numbers, filled = series.cast(pl.Float64, strict=False).fill_nan(None), series.is_not_null()
        if series.dtype.is_float():
            filled = filled & series.is_not_nan()
    good = numbers.is_between(0.0, VALUE_MAX).fill_null(False)
    return numbers.set(~good, None), filled & ~good


def rating_scale(ratings: pl.Series) -> float:
    """The top of the scale that these ratings use: the usual one their maximum fits into, else their maximum."""
    top = ratings.max()
    top = float(top) if isinstance(top, int | float) else 0.0
    return next((usual for usual in (1.0, STARS_MAX, 10.0, 100.0) if top <= usual), top)


def _looks_like_ratings(numbers: pl.Series, name: str) -> bool:
    if name.split(":")[0].lower() in _RATING_NAMES:
        return True
    kinds, top = numbers.drop_nulls().n_unique(), numbers.max()
    return name.lower() == "value" and 3 <= kinds <= 21 and top in (5, 10)


def _numbers_ms(series: pl.Series, guesses: list[str]) -> pl.Series:
    numbers = series.cast(pl.Float64)
    if series.dtype.is_float() or series.dtype == pl.String:
        numbers = numbers.fill_nan(None)
    median = numbers.median()
    middle = abs(float(median)) if isinstance(median, int | float) else 0.0
    if 19_700_101 <= middle <= 21_001_231 and (numbers % 100 <= 31).fill_null(True).all():
        guesses.append("timestamp: numbers taken as dates YYYYMMDD")
        dates = numbers.cast(pl.Int64, strict=False).cast(pl.String).str.to_date("%Y%m%d", strict=False)
        return dates.cast(pl.Datetime("ms")).dt.epoch("ms")
    scale, unit = next((scale, unit) for limit, scale, unit in _UNITS if middle < limit)
    guesses.append(f"timestamp: numbers taken as {unit} since 1970")
    whole = series.cast(pl.Int64, strict=False)
    exact = whole * int(scale) if scale >= 1.0 else whole // round(1 / scale)
    fractional = series.dtype.is_float() and unit == "seconds"
    return (numbers * scale).round().cast(pl.Int64, strict=False) if fractional else exact


def _iso_ms(text: pl.Series) -> pl.Series:
    parts = text.str.replace_all("/", "-").str.extract_groups(_ISO).struct.unnest()

    def number(name: str) -> pl.Series:
        return parts[name].cast(pl.Int64, strict=False).fill_null(0)

    hour, minute, second = number("hour"), number("minute"), number("second")
    day_ms = parts["date"].str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("ms")).dt.epoch("ms")
    part_ms = parts["part"].str.pad_end(3, "0").str.slice(0, 3).cast(pl.Int64, strict=False).fill_null(0)
    zone_ms = (number("zone_hour") * 60 + number("zone_minute")) * 60_000
    zone_ms = zone_ms.set(parts["sign"].fill_null("+") == "-", None).fill_null(-zone_ms)
    ms = day_ms + ((hour * 60 + minute) * 60 + second) * 1000 + part_ms - zone_ms
    return ms.set((hour > 24) | (minute > 59) | (second > 60), None)
