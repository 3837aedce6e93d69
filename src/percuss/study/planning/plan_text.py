"""Plain sentences for a protocol, from the size of a study and from what it can show."""

from __future__ import annotations

from percuss.study.planning.needed_size import Needed, Wanted
from percuss.study.planning.power import d_prime
from percuss.study.planning.reach import Shown


def needed_text(plan: Needed) -> str:
    """What the study asks for and needs, as sentences."""
    wanted = plan.wanted
    who = "One reader reads" if wanted.readers == 1 else f"Each of {wanted.readers} readers reads"
    text = (
        f"{_aim(wanted)} {who} {plan.cases} cases: {plan.trials} trials, about {plan.minutes:.0f} minutes at "
        f"{wanted.seconds:g} seconds each, breaks not counted. Power at a one-sided alpha of {wanted.alpha:g}: "
        f"{_percent(plan.expected)} by formula"
    )
    if plan.simulated is not None:
        text += (
            f", {_percent(plan.simulated.power)} by simulation (95 % interval {_between(plan.simulated.interval)}, "
            f"{plan.simulated.draws} studies drawn)"
        )
    text += "."
    if wanted.readers > 1:
        text += (
            f" Answers of two readers on a case are taken to correlate by {wanted.case_share:g}, "
            f"those of a reader on two cases by {wanted.reader_share:g}."
        )
        text += "" if wanted.reader_share else " The result then holds for these readers, not for readers at large."
        text += _random_readers(plan)
    if plan.doubtful:
        text += " The simulation falls short of the power asked for: add readers or cases before relying on this size."
    return text


def _random_readers(plan: Needed) -> str:
    """The power of the analysis that will be made, and what gives it the power asked for where it is short."""
    told = " percuss study results takes readers as random whatever was planned"
    if plan.results is None:
        return f"{told}, which costs power where they are few."
    text = (
        f"{told}: by simulation that has a power of {_percent(plan.results.power)} ({_between(plan.results.interval)})"
    )
    if not plan.results_short:
        return f"{text}."
    asked = f"the {_percent(plan.wanted.power)} asked for"
    if plan.enough is None:
        return f"{text}, and not even many times as many cases give it {asked}: add readers."
    return f"{text}; about {plan.enough} cases, or more readers, give it {asked}."


def shown_text(found: Shown) -> str:
    """What a study of this size leaves possible and what it can find, as sentences."""
    return " ".join(
        [
            f"With {found.pairs} pairs, {found.harmful} harmful and {found.helpful} helpful flips, the true share of "
            f"harmful flips may still be {_percent(found.exact_one_sided)} (exact, one-sided 95 %; "
            f"{_percent(found.exact_two_sided)} by the two-sided interval), and the true loss "
            f"{_points(found.score_two_sided)} (Tango, two-sided 95 %).",
            f"At a discordance of {_percent(found.discordance)}, a one-sided alpha of {found.alpha:g} and a power of "
            f"{_percent(found.power)}, it can exclude {_or('a loss of', found.margin, 'no loss at all')} and find "
            f"{_or('a loss of', found.loss, 'no loss, however many of these answers are harmful')}.",
            f"As many 2AFC trials can exclude {_choice(found.limit)} where readers are at chance, "
            f"and tell {_choice(found.detected)} from chance.",
        ]
    )


def _aim(wanted: Wanted) -> str:
    if wanted.question == "no_loss":
        return (
            f"The study is to show that readers lose less than {_points(wanted.effect)} on perturbed copies, if they "
            f"truly lose {_points(wanted.loss)} and answer {_percent(wanted.discordance or 0)} of pairs differently."
        )
    if wanted.question == "difference":
        return (
            f"The study is to find a true loss of {_points(wanted.effect)} on perturbed copies, where readers answer "
            f"{_percent(wanted.discordance or 0)} of pairs differently."
        )
    if wanted.question == "undetectable":
        return f"The study is to show that readers find the perturbed copy with less than {_choice(wanted.effect)}."
    return (
        "The study is to show that readers find the perturbed copy more often than chance, "
        f"if truly with {_choice(wanted.effect)}."
    )


def _choice(share: float | None) -> str:
    return "no share right" if share is None else f"a share right of {_percent(share)} (d' {d_prime(share):.2f})"


def _or(name: str, value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{name} {_points(value)}"


def _between(ends: tuple[float, float]) -> str:
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
