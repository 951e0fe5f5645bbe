"""Titles, captions and descriptions of the figures, filled from the settings."""

from __future__ import annotations

from zeroloss.studies.contract import Figure
from zeroloss.studies.kawaguchi2016.figures import draw_critical, draw_curves, draw_escape, draw_slices
from zeroloss.studies.kawaguchi2016.settings import Settings
from zeroloss.studies.wording import listed, seeds_text


def figures(settings: Settings) -> list[Figure]:
    s, escape = settings, settings.escape
    problem = f"Linear labels with noise {s.noise:g} (synthetic), N = {s.samples}, d_x = {s.inputs}, d_y = {s.outputs}"
    net = f"{problem}, all hidden widths p = {s.shown_width}"
    data = f"{net}, {seeds_text(s.seeds)}"
    share = f"{100 * escape.share:g} %"
    step = f"eta = {escape.relative_step:g} / largest Hessian eigenvalue of the family"
    tries = s.search.starts * len(s.search.scales) * len(s.search.descents)
    deep = next((depth for depth in s.depths if depth > 1), s.depths[0])
    return [
        Figure(
            name="kawaguchi2016_critical",
            items=("004-TH1", "001-Q1"),
            title="Critical points: loss against curvature",
            caption=(
                f"{data}. Filled: every subset of kept eigenvectors and every rank of the middle; ranks are moved apart in the "
                f"lower row. Open: found by least squares on the gradient, {tries} starts for each data set and H, "
                f"{s.search.steps} steps. Scale: the larger of lambda_max(X X^T) and lambda_1(Sigma). Points at 0 in the upper "
                "row have no negative eigenvalue: global minima (loss 0) and, from H = 2 on, degenerate saddles."
            ),
            alt=(
                "Upper row, the least Hessian eigenvalue against the loss above the optimum; lower row, the number of negative "
                "eigenvalues. With one hidden layer only the global minima have none; with two and three hidden layers some "
                "points with a middle of low rank lie on the zero line at positive loss."
            ),
            draw=draw_critical,
        ),
        Figure(
            name="kawaguchi2016_slices",
            items=("004-TH1", "001-Q1"),
            title="A strict and a degenerate saddle, and how the loss falls from each kind",
            caption=(
                f"{net}. a, b: seed {s.seeds[0]}, H = {deep}, both points keep nothing (S empty); black: where the loss crosses "
                f"the level of the saddle; losses above the colour scale are cut. c: {seeds_text(s.seeds)}, mean and range over "
                "data sets and ranks; dotted: powers through the shortest way."
            ),
            alt=(
                "Left, a contour map of an ordinary saddle; middle, one of a degenerate saddle, flat around its centre, lower "
                "on one side of a line and higher on the other; right, the fall of the loss against the length of the way, "
                "along the powers 2, 3 and 4."
            ),
            draw=draw_slices,
        ),
        Figure(
            name="kawaguchi2016_curves",
            items=("004-TH1", "001-Q1"),
            title="Gradient descent leaving every saddle",
            caption=(
                f"{net}, data set of seed {s.seeds[0]}. Starts at distance {escape.curve_perturbation:g} from each saddle in "
                f"{escape.curve_directions} random directions, {step}. Lines: median; bands: range over directions. S "
                "counts eigenvectors from the largest eigenvalue."
            ),
            alt=(
                "Loss above the optimum against the step, one line per saddle: with a middle of rank p all fall to zero; with "
                "a middle of low rank those without negative eigenvalue stay where they are or leave late."
            ),
            draw=draw_curves,
        ),
        Figure(
            name="kawaguchi2016_escape",
            items=("001-Q1", "004-TH1"),
            title="Time to leave a saddle against its least eigenvalue",
            caption=(
                f"{data}, {escape.directions} random directions each; {step}; left when {share} of the loss above the optimum "
                f"are gone, at most {escape.most_steps} steps. delta = {listed(escape.perturbations)}: distance of the start. "
                "Each point: one saddle of one data set. Right: delta = "
                f"{listed(escape.degenerate_perturbations)}, geometric mean over data sets and directions, subsets with every "
                "start out."
            ),
            alt=(
                "Time to leave against the absolute least eigenvalue on logarithmic axes, near dotted lines of slope minus one; "
                "right, times for saddles without negative eigenvalue grow like powers of the inverse perturbation."
            ),
            draw=draw_escape,
        ),
    ]
