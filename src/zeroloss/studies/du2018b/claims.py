"""What the paper and the slides say, and what we measured. Every tolerance was written before the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.du2018b.experiment import ARCHITECTURES, NAMES, TASKS, Settings
from zeroloss.studies.du2018b.tables import final_losses
from zeroloss.theory import du2018b as theory
from zeroloss.theory.statistics import Estimate, estimate, loglog_slope, slope_over_width


def judge_norms(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The mean over inputs of |x^(h)|^2 is 1 in every layer of the fully connected net.

    Its expectation is 1 up to corrections of order 1/m, so the test is statistical: the intervals of all layers, 95 %
    together (Bonferroni), must hold 1. An interval wider than ± 0.25 could hide a drift by a quarter: undecided then.
    """
    table = metrics[(metrics["part"] == "norm") & (metrics["architecture"] == "fully_connected")]
    table = table[table["layer"] > 0]
    layers = table["layer"].nunique()
    each = {int(layer): estimate(group["norm"], layers) for layer, group in table.groupby("layer")}
    layer, worst = max(each.items(), key=lambda pair: abs(pair[1].mean - 1))
    outside = [h for h, found in each.items() if abs(found.mean - 1) > found.half_width]
    wide = any(not found.half_width <= 0.25 for found in each.values())
    verdict: Verdict = "undecided" if wide else "differs" if outside else "reproduced"
    return Judgement(
        expected="1 in every layer",
        measured=f"{worst} (mean of |x^(h)|^2 farthest from 1, at layer {layer})",
        spread=worst.spread,
        tolerance="every interval holds 1 and is no wider than ± 0.25",
        verdict=verdict,
        note=", ".join(f"h = {h}: {found}" for h, found in each.items()),
    )


def _limit(metrics: pd.DataFrame, architecture: str) -> pd.DataFrame:
    table = metrics[(metrics["part"] == "limit") & (metrics["architecture"] == architecture)]
    return table[table["lambda_min"] > table["floor"]]


def judge_exponential(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """ln lambda_min(K^(H)) against H falls along a line of slope ln chi, fully connected, upper half of the depths.

    chi = c_sigma E sigma'^2 is the factor per layer once correlations are near 1. Tolerance 10 % of ln chi: the
    correlations' distance from 1 shrinks by chi itself, so from H = 8 on curvature is below chi^8 = 1e-4, while at
    the depths below a part of the fall is not yet asymptotic. A power law instead would have a slope that halves when
    H doubles, far outside 10 %.
    """
    table = _limit(metrics, "fully_connected")
    table = table[table["source"] == "sphere"]
    upper = table[table["depth"] >= table["depth"].max() / 2]
    if upper["depth"].nunique() < 2:
        return Judgement("ln chi", "not measurable", "", "", "undecided", "needs two depths above rounding")
    found = estimate([np.polyfit(g["depth"], np.log(g["lambda_min"]), 1)[0] for _, g in upper.groupby("seed")])
    rate = float(np.log(table["contraction"].iloc[0]))
    power = [loglog_slope(g["depth"], g["lambda_min"]) for _, g in upper.groupby("seed")]
    return Judgement(
        expected=f"ln chi = {rate:.3f}",
        measured=f"{found} (slope of ln lambda_min over H, H = {upper['depth'].min():.0f} to {upper['depth'].max():.0f})",
        spread=found.spread + " (of the inputs)",
        tolerance="± 10 %",
        verdict="reproduced" if abs(found.mean / rate - 1) <= 0.1 else "differs",
        note=(
            f"a factor {np.exp(found.mean):.3f} per layer; read as a power law the same depths would have the exponent "
            f"{np.mean(power):.1f}. The theorem asks for a width of 1 / lambda_min^4, another exponential in H beside 2^O(H)."
        ),
    )


def _judge_square(metrics: pd.DataFrame, architecture: str) -> Judgement:
    """Log-log slope of lambda_min(K^(H)) over H against -2, upper half of the depths in ln H.

    Tolerance 0.15: H^2 lambda_min tends to a constant with a correction of relative order 1/H (the network is the
    Euler scheme of a differential equation), which at depths around 10 bends a slope by about 0.1.
    """
    table = _limit(metrics, architecture)
    table = table[table["source"] == "sphere"]
    depths = table["depth"]
    upper = table[depths >= (depths.min() * depths.max()) ** 0.5]
    if upper["depth"].nunique() < 2:
        return Judgement("-2", "not measurable", "", "", "undecided", "needs two depths")
    found = estimate([loglog_slope(g["depth"], g["lambda_min"]) for _, g in upper.groupby("seed")])
    total = table.groupby("depth")["lambda_min_total"].mean()
    return Judgement(
        expected="-2",
        measured=f"{found} (log-log slope over H, H = {upper['depth'].min():.0f} to {upper['depth'].max():.0f})",
        spread=found.spread + " (of the inputs)",
        tolerance="± 0.15",
        verdict="reproduced" if abs(found.mean + 2) <= 0.15 else "differs",
        note=(
            "the fall belongs to the last layer, which the proof uses alone; lambda_min of the sum over all layers is "
            f"{total.iloc[0]:.3g} at H = {total.index[0]} and {total.iloc[-1]:.3g} at H = {total.index[-1]}"
        ),
    )


def judge_square_resnet(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_square(metrics, "resnet")


def judge_square_conv(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_square(metrics, "conv_resnet")


def judge_printed(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Where finite networks lie on the line from the right K^(H) (0) to the printed one (1), H = 2.

    Decided by 95 % t intervals over networks, all architectures together (Bonferroni): right when each holds 0 and
    leaves out 1, printed when each holds 1 and leaves out 0. Finite width moves the mean by order 1/m, below 0.1.
    """
    table = metrics[metrics["part"] == "printed"]
    places = {name: estimate(group["place"], 3) for name, group in table.groupby("architecture")}

    def agree(value: float, other: float) -> bool:
        return all(abs(p.mean - value) <= p.half_width < abs(p.mean - other) for p in places.values())

    verdict: Verdict = "reproduced" if agree(0, 1) else "differs" if agree(1, 0) else "undecided"
    worst = max(places.values(), key=lambda place: abs(place.mean))
    return Judgement(
        expected="0 (covariance A^(H)); the printed A^(H-1) would be 1",
        measured=", ".join(f"{NAMES[str(name)]}: {place}" for name, place in places.items()),
        spread=worst.spread.replace("seeds", "networks"),
        tolerance="every interval holds 0 and leaves out 1",
        verdict=verdict,
        note="eqs. 7, 8 and 10 print A^(H-1) in their last line; Appendix F.2 of the paper has A^(H)",
    )


def _slopes(table: pd.DataFrame, value: str) -> dict[tuple[str, int], Estimate]:
    keys = ["architecture", "layer"]
    return {(str(a), int(h)): slope_over_width(group, value) for (a, h), group in table.groupby(keys)}


def _named(key: tuple[str, int]) -> str:
    return f"{NAMES[key[0]]}, layer {key[1]}"


def _by_slope(slopes: dict[tuple[str, int], Estimate]) -> str:
    return "; ".join(f"{_named(key)}: {found}" for key, found in slopes.items())


def _not_measurable(expected: str) -> Judgement:
    return Judgement(expected, "not measurable", "", "", "undecided", "needs two widths and values above zero")


def judge_start(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """|G^(H)(0) - K^(H)| falls like m^(-1/2), each architecture.

    An average of m independent terms; corrections of relative order m^(-1/2) at the narrowest nets bend the slope by
    up to 0.1, the tolerance. An interval that reaches from inside to outside of it leaves the claim undecided.
    """
    table = metrics[metrics["part"] == "start"]
    if table.groupby("architecture")["width"].nunique().min() < 2:
        return _not_measurable("-0.5")
    slopes = _slopes(table, "error")
    last = {key: found for key, found in slopes.items() if key[1] == settings.widths.depth}
    key, worst = max(last.items(), key=lambda pair: abs(pair[1].mean + 0.5))
    gap = abs(worst.mean + 0.5)
    half = 0.0 if np.isnan(worst.half_width) else worst.half_width
    verdict: Verdict = "reproduced" if gap <= 0.1 else "differs" if gap - half > 0.1 else "undecided"
    return Judgement(
        expected="-0.5",
        measured=f"{worst} (log-log slope over width farthest from -1/2: {_named(key)})",
        spread=worst.spread,
        tolerance="± 0.1",
        verdict=verdict,
        note=_by_slope(slopes),
    )


def _at_end(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    table = metrics[(metrics["part"] == "layer") & (metrics["experiment"] == "widths")]
    return table[(table["step"] == settings.widths.steps) & (table["diverged_at"] < 0)]


def judge_drift(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """|G^(h)(t) - G^(h)(0)| falls with the width at least as fast as m^(-1/2), every layer and architecture.

    The proofs bound it by order m^(-1/2), so a steeper fall agrees; 0.1 for corrections at the narrowest nets.
    """
    table = _at_end(metrics, settings)
    if table.empty or table.groupby("architecture")["width"].nunique().min() < 2 or not (table["drift"] > 0).all():
        return _not_measurable("<= -0.5")
    slopes = _slopes(table, "drift")
    key, worst = max(slopes.items(), key=lambda pair: pair[1].mean)
    half = 0.0 if np.isnan(worst.half_width) else worst.half_width
    verdict: Verdict = "reproduced" if worst.mean <= -0.4 else "differs" if worst.mean - half > -0.4 else "undecided"
    return Judgement(
        expected="<= -0.5",
        measured=f"{worst} (largest log-log slope over width: {_named(key)})",
        spread=worst.spread,
        tolerance="at most -0.4",
        verdict=verdict,
        note=_by_slope(slopes),
    )


def judge_movement(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The root mean square over units of |w_r(k) - w_r(0)| falls like m^(-1/2) in every layer.

    |W(k) - W(0)|_F has a limit, by the theory of the linearised network, and there are m units. Tolerance 0.1 for
    corrections of relative order m^(-1/2) at the narrowest nets; intervals as for the Gram matrices.
    """
    table = _at_end(metrics, settings)
    if table.empty or table.groupby("architecture")["width"].nunique().min() < 2:
        return _not_measurable("-0.5")
    slopes = _slopes(table, "moved_rms")
    key, worst = max(slopes.items(), key=lambda pair: abs(pair[1].mean + 0.5))
    half = 0.0 if np.isnan(worst.half_width) else worst.half_width
    gap = abs(worst.mean + 0.5)
    verdict: Verdict = "reproduced" if gap <= 0.1 else "differs" if gap - half > 0.1 else "undecided"
    return Judgement(
        expected="-0.5 in every layer",
        measured=f"{worst} (log-log slope over width farthest from -1/2: {_named(key)})",
        spread=worst.spread,
        tolerance="± 0.1",
        verdict=verdict,
        note=_by_slope(slopes),
    )


def _judge_bound(metrics: pd.DataFrame, column: str, architectures: tuple[str, ...]) -> Judgement:
    """The loss is below the bound at every step of every run; 1e-9 for rounding in float64. A diverged run breaks it."""
    table = metrics[(metrics["part"] == "curve") & metrics["architecture"].isin(architectures)]
    runs = table.groupby(["architecture", "source", "labels", "depth", "seed"])[[column, "diverged_at"]].first()
    diverged = int((runs["diverged_at"] >= 0).sum())
    slack = runs[column].dropna()
    above = slack[slack > 1e-9]
    where = ""
    if len(slack):
        architecture, source, labels, depth, seed = slack.idxmax()
        where = f"at {NAMES[architecture]}, {source}, {labels} labels, H = {depth:.0f}, seed {seed}"
    broken = sorted({f"{NAMES[a]}, {source}, {labels}, H = {depth:.0f}" for a, source, labels, depth, _ in above.index})
    notes = [f"diverged: {diverged} runs"] if diverged else []
    notes += [f"above the bound: {len(above)} of {len(runs)} runs ({'; '.join(broken)})"] if broken else []
    return Judgement(
        expected="<= 0",
        measured=f"{slack.max():.3g} (largest ln of loss over bound) {where}" if where else "every run diverged",
        spread=f"the worst of all steps of {len(runs)} runs",
        tolerance="1e-9, for rounding in float64",
        verdict="reproduced" if not diverged and not len(above) else "differs",
        note="; ".join(notes),
    )


def judge_rate_fully_connected(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_bound(metrics, "worst_slack", ("fully_connected",))


def judge_rate_resnets(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_bound(metrics, "worst_slack", ("resnet", "conv_resnet"))


def judge_rate_slides(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_bound(metrics, "worst_slack_slides", ARCHITECTURES)


def judge_labels(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """True and random labels of the digits are both fitted: L(k) / L(0) <= 0.01 at the last step, every run.

    One percent leaves a mean squared error of about 0.01 to 0.02 where labels are ± 1, ten standard errors from the
    decision border. A run that is above but fell by at least 5 % in the last third (of ln k) is still on its way, which
    decides nothing; one that stands still above 0.01, or diverged, refutes.
    """
    table = final_losses(metrics)
    table = table[table["source"].isin([f"digits_{task}" for task in TASKS])]
    stuck = table[(table["relative_loss"] > 0.01) & (table["relative_loss"] > 0.95 * table["earlier_loss"])]
    open_ = table[(table["relative_loss"] > 0.01) & ~table.index.isin(stuck.index)]
    verdict: Verdict = "differs" if len(stuck) else "undecided" if len(open_) else "reproduced"
    still = ", ".join(
        f"{NAMES[str(a)]}, H = {d:.0f}" for a, d in sorted(stuck.groupby(["architecture", "depth"]).groups)
    )
    by = table.groupby(["architecture", "depth", "labels"])["relative_loss"].max()
    notes = [f"{NAMES[str(a)]}, H = {depth:.0f}, {labels}: {value:.2g}" for (a, depth, labels), value in by.items()]
    return Judgement(
        expected="tends to 0 for true and for random labels",
        measured=f"{table['relative_loss'].max():.2g} (largest L(k)/L(0) at the last step of {len(table)} runs)",
        spread=f"{len(stuck)} runs stand still above 0.01, {len(open_)} are above it and falling",
        tolerance="0.01",
        verdict=verdict,
        note=(f"standing still, at this step size: {still}; " if still else "")
        + "largest over seeds and problems: "
        + "; ".join(notes),
    )


def judge_depth(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Depth slows the fully connected net and not the ResNet: fall of ln L, deepest over shallowest, on the sphere.

    The paper's contrast is 2^O(H) against no factor. Halfway (on the scale of ratios) is 1/2: the fully connected
    ratio's interval must lie below it and the ResNet's above. The step size is the same multiple of 1/lambda_max in both.
    """
    table = final_losses(metrics)
    table = table[table["source"] == "sphere"]
    ratios = {}
    for architecture, group in table.groupby("architecture"):
        falls = -np.log(group.pivot(index="seed", columns="depth", values="relative_loss"))
        ratios[str(architecture)] = estimate(falls[falls.columns.max()] / falls[falls.columns.min()])
    plain, residual = ratios["fully_connected"], ratios["resnet"]

    def edges(found: Estimate) -> tuple[float, float]:
        half = 0.0 if np.isnan(found.half_width) else found.half_width
        return found.mean - half, found.mean + half

    right = edges(plain)[1] < 0.5 < edges(residual)[0]
    wrong = edges(plain)[0] > 0.5 or edges(residual)[1] < 0.5
    return Judgement(
        expected="fully connected: near 0; ResNet: near 1",
        measured=f"fully connected: {plain}; ResNet: {residual} (fall of ln L, deepest over shallowest)",
        spread=f"{plain.spread}; {residual.spread}",
        tolerance="on either side of 1/2, with their intervals",
        verdict="reproduced" if right else "differs" if wrong else "undecided",
        note=f"convolutional ResNet: {ratios['conv_resnet']}" if "conv_resnet" in ratios else "",
    )


def judge_stable(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The ResNet's largest stable step does not shrink with depth: deepest over shallowest at least 1/2.

    Theorem 6.1 allows lambda_min H^2 / n^2, of constant order. The grid of multiples resolves a factor sqrt(2) at both
    ends, so a constant step could be measured as 1/2 at worst. A ResNet's step at an end of the grid decides nothing.
    """
    table = metrics[metrics["part"] == "stable"]
    ratios, theorem = {}, {}
    for architecture, group in table.groupby("architecture"):
        steps = group.pivot(index="seed", columns="depth", values="largest_step")
        deep, shallow = int(steps.columns.max()), int(steps.columns.min())
        ratios[str(architecture)] = estimate(steps[deep] / steps[shallow])
        least = group.groupby("depth")["lambda_min"].first()
        ends = [theory.step_order(str(architecture), least[h], settings.samples, h) for h in (deep, shallow)]
        theorem[str(architecture)] = ends[0] / ends[1]
    found = ratios["resnet"]
    half = 0.0 if np.isnan(found.half_width) else found.half_width
    if np.isnan(found.mean) or table.loc[table["architecture"] == "resnet", "at_grid_end"].any():
        verdict: Verdict = "undecided"
    else:
        verdict = "reproduced" if found.mean >= 0.5 else "differs" if found.mean + half < 0.5 else "undecided"
    return Judgement(
        expected=f"about 1; the theorem's own step: {theorem['resnet']:.2g}",
        measured=f"{found} (largest stable step, H = {deep} over H = {shallow})",
        spread=found.spread,
        tolerance="at least 1/2",
        verdict=verdict,
        note=(
            f"fully connected: {ratios['fully_connected']}, the theorem's own step: {theorem['fully_connected']:.2g} (a "
            f"sufficient condition); in units of 2/lambda_max(G(0)): {table['multiple'].min():.2f} to "
            f"{table['multiple'].max():.2f}; {int(table['at_grid_end'].sum())} of {len(table)} runs at the end of the grid"
        ),
    )


def claims(settings: Settings) -> list[Claim]:
    plain, residual, grams = ("001-TH8", "002-TH2"), ("002-TH3",), ("002-E3",)
    return [
        Claim("norms", ("001-E3",), "c_sigma keeps |x^(h)| = 1 in every layer, fully connected.", judge_norms),
        Claim("exponential", plain, "Fully connected: lambda_min(K^(H)) falls exponentially in H.", judge_exponential),
        Claim("square-resnet", residual, "ResNet: lambda_min(K^(H)) falls like 1 / H^2.", judge_square_resnet),
        Claim("square-conv", residual, "Convolutional ResNet: lambda_min(K^(H)) falls like 1 / H^2.", judge_square_conv),
        Claim("printed", plain, "The last line of eqs. 7, 8 and 10 needs A^(H), not the printed A^(H-1).", judge_printed),
        Claim("start", grams, "G^(H)(0) tends to K^(H) like m^(-1/2).", judge_start),
        Claim("drift", grams, "G^(h)(t) stays at G^(h)(0), at least like m^(-1/2), in every layer.", judge_drift),
        Claim("movement", ("003-Q10",), "Units of every layer move like m^(-1/2).", judge_movement),
        Claim(
            "rate-fully-connected", plain,
            "Fully connected: L(k) <= (1 - eta lambda_min(K^(H)) / 2)^k L(0) at every step.", judge_rate_fully_connected,
        ),
        Claim(
            "rate-resnets", residual,
            "ResNets: L(k) <= (1 - eta lambda_min(K^(H)) / 2)^k L(0) at every step.", judge_rate_resnets,
        ),
        Claim(
            "rate-slides", ("002-TH2", "002-TH3"),
            "Slides: R(t) <= (1 - eta lambda_0)^t R(0), lambda_0 of the limit of the sum over layers.", judge_rate_slides,
        ),
        Claim("labels", ("002-F1",), "The training loss tends to 0 for true and for random labels.", judge_labels),
        Claim("depth", ("002-TH2", "002-TH3"), "Depth slows fully connected nets, not ResNets.", judge_depth),
        Claim("stable-step", residual, "The ResNet's largest stable step does not shrink with depth.", judge_stable),
    ]  # fmt: skip
