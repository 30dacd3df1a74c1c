"""How events are counted: what is chosen on validation before anything else is learned."""

from collections.abc import Callable
from dataclasses import dataclass, field

from trainer import factor_choice
from trainer.data import Events
from trainer.factor_choice import Relevant, choose_factors
from trainer.factorise import FactorRule
from trainer.links import link_choice
from trainer.links.link_choice import choose_links
from trainer.links.neighbours import LinkRule

CHOOSING_USERS = 1_000  # validation users asked, whatever the profile: they cost little here, and few choose by luck


@dataclass(frozen=True)
class Rules:
    """How items are linked, and how they are factorised."""

    links: LinkRule = field(default_factory=LinkRule)
    factors: FactorRule = field(default_factory=FactorRule)


@dataclass(frozen=True)
class RuleChoice:
    """What was chosen, and the NDCG@10 by which it was."""

    rules: Rules
    links: dict[str, float]
    factors: dict[str, float]


def choose_rules(
    train: Events, relevant: Relevant, dim: int, seed: int, tick: Callable[[], None] = lambda: None
) -> RuleChoice:
    """train: positive events; relevant: what each validation user did next, by user row."""
    links = choose_links(train, relevant, tick)
    factors = choose_factors(train, relevant, dim, seed, tick)
    return RuleChoice(Rules(links.rule, factors.rule), links.report, factors.report)


def steps() -> int:
    """How often `choose_rules` ticks."""
    return link_choice.steps() + factor_choice.steps()
