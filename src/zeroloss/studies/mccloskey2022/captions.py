"""Titles, captions and descriptions of the figures, filled from the settings."""

from __future__ import annotations

from zeroloss.studies.contract import Figure
from zeroloss.studies.mccloskey2022.figures import (
    draw_approach,
    draw_examples,
    draw_methods,
    draw_output_law,
    draw_radius,
    draw_widths,
)
from zeroloss.studies.mccloskey2022.settings import Settings
from zeroloss.studies.wording import listed, seeds_text


def figures(settings: Settings) -> list[Figure]:
    e, a, s, o, r, m = (
        settings.examples, settings.approach, settings.smallest_width, settings.output_law, settings.radius,
        settings.methods,
    )  # fmt: skip
    points = "inputs uniform on the sphere (synthetic)"
    spread = "Lines: mean over seeds; bands and bars: range over seeds."
    return [
        Figure(
            name="mccloskey2022_examples",
            items=("003-E2", "003-E3", "003-F1"),
            title="Examples and counter-examples for the least eigenvalue",
            caption=(
                f"{points}, {seeds_text(e.seeds)}. a: n = {e.samples}, one point per set. b, c: one pair at distance "
                f"eps in a set of n = {e.samples}, d = {e.pair_dimension}; {e.antipodal_dimension + 1} pairs in "
                f"d = {e.antipodal_dimension} at distance eps from antipodal positions. {spread} Nothing is trained."
            ),
            alt=(
                "Three panels: least eigenvalue above the Gershgorin margin for every random set; least eigenvalue "
                "against distance on a line of slope 1 for close and for many antipodal pairs, flat for one antipodal "
                "pair; their ratio to the distance tends to one over two pi."
            ),
            draw=draw_examples,
        ),
        Figure(
            name="mccloskey2022_approach",
            items=("003-Q1",),
            title="Q1: training as one pair of inputs approaches",
            caption=(
                f"n = {a.samples}, d = {a.dimension}, {points}, one pair with labels +1 and -1 at eps = "
                f"{listed(a.distances)}; other labels N(0, 1); m = {listed(a.widths)}; eta = {a.relative_step:g} / "
                f"lambda_max(H-infinity), until |u - y|^2 is {a.threshold:g} of the start, at most {a.most_steps} steps; "
                f"{seeds_text(a.seeds)}. {spread} In a, points where a seed was given up are left out."
            ),
            alt=(
                "Three panels: steps to the threshold against the least eigenvalue by width, beside the bound; the error "
                "left in the pair's difference and in all the rest; the least eigenvalue after training, which is lost "
                "where the width is below what the pair needs."
            ),
            draw=draw_approach,
        ),
        Figure(
            name="mccloskey2022_widths",
            items=("003-Q2",),
            title="Q2: the smallest width that trains, against n",
            caption=(
                f"{points}, labels N(0, 1), {seeds_text(s.seeds)}. Smallest m for which the theorem's bound holds at every "
                f"step until |u - y|^2 is {s.threshold:g} of the start, eta = {s.relative_step:g} / lambda_max(H-infinity). "
                f"Brackets: 95 % percentile bootstrap over seeds ({s.resamples} resamples)."
            ),
            alt="Two panels of the smallest width against n on logarithmic axes, far flatter than the dotted n to the 6.",
            draw=draw_widths,
        ),
        Figure(
            name="mccloskey2022_output_law",
            items=("003-Q3",),
            title="Q3: output weights uniform on [-1, 1]",
            caption=(
                f"n = {o.samples}, d = {o.dimension}, {points}, labels N(0, 1), m = {listed(o.widths)}, {o.steps} steps, "
                f"eta = {o.relative_step:g} / lambda_max(H-infinity), {seeds_text(o.seeds)}. {spread} Dotted in a: the "
                "threshold of the claim."
            ),
            alt=(
                "Three panels: loss curves for both laws, which coincide when the step is three times longer for the "
                "uniform law; the distance of H(0) from its limit against width; changed patterns against width."
            ),
            draw=draw_output_law,
        ),
        Figure(
            name="mccloskey2022_radius",
            items=("003-Q4",),
            title="Q4: hidden weights on spheres of several radii",
            caption=(
                f"n = {r.samples}, d = {r.dimension}, m = {r.width}, {points}, labels N(0, 1), {r.steps} steps, eta = "
                f"{r.relative_step:g} / lambda_max(H-infinity), {seeds_text(r.seeds)}. Directions of w_r are the same for "
                f"all laws. {spread}"
            ),
            alt=(
                "Three panels over training for four radii and the Gaussian: distances hardly depend on the radius, "
                "changed patterns fall with it, and the least eigenvalue of H(k) moves most on the smallest sphere."
            ),
            draw=draw_radius,
        ),
        Figure(
            name="mccloskey2022_methods",
            items=("003-Q9",),
            title="Q9: other losses and other first-order methods",
            caption=(
                f"n = {m.samples}, d = {m.dimension}, m = {m.width}, {points}, labels random signs, full batch, "
                f"{m.steps} steps, {seeds_text(m.seeds)}. Gradient descent: eta = {m.relative_step:g} / lambda_max(H-infinity);"
                f" heavy ball, Nesterov: best constants for its spectrum; all three {m.logistic_factor:g} times longer for "
                f"logistic loss. Adam {m.adam_step:g}, RMSProp {m.rmsprop_step:g}. {spread} Dotted: the threshold."
            ),
            alt=(
                "Six panels over steps on logarithmic axes, five methods: square loss falls exponentially, logistic loss "
                "like a power; momentum is fastest, Adam and RMSProp are slower and RMSProp stalls."
            ),
            draw=draw_methods,
        ),
    ]
