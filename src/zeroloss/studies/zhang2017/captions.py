"""Figures of the study: what they are called and what stands below them."""

from __future__ import annotations

from zeroloss.studies.contract import Figure
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.studies.zhang2017.figures import draw_corruption, draw_curves, draw_early_stopping, draw_norm
from zeroloss.studies.zhang2017.settings import Settings


def figures(settings: Settings) -> list[Figure]:
    s = settings.sizes
    data = (
        f"Data: {settings.source}, first n = {s.train} training and {s.test} test images, whitened one by one, side "
        f"{s.crop // s.pool}. SGD, momentum {settings.momentum:g}, batch {s.batch}, learning rate times {settings.decay:g} "
        f"every {settings.decay_steps} steps, {seeds_text(s.seeds)}. "
    )
    inception = f"Small Inception, channels over {s.inception_divisor}, learning rate {settings.inception_rate:g}. "
    published = "Dashed: published (CIFAR-10, n = 50,000, printed sizes)"
    return [
        Figure(
            name="zhang2017_fig1a",
            items=("004-F4", "002-F1"),
            title="Figure 1 a: a network fits random labels and noise",
            caption=(
                f"{inception}{data}A run ends at a mean loss of {settings.final_loss:g}, which its curve keeps. "
                f"{published}, on an axis of its own."
            ),
            alt=(
                "Average training loss over steps in five settings; all fall to zero, true labels first and random labels "
                "last."
            ),
            draw=draw_curves,
        ),
        Figure(
            name="zhang2017_fig1bc",
            items=("004-F5", "004-F6", "003-Q11"),
            title="Figure 1 b and c: corrupted labels",
            caption=(
                f"{inception}AlexNet, channels over {s.alexnet_divisor}, MLP 1x{s.mlp_width}: learning rate "
                f"{settings.other_rate:g}. {data}"
                f"Label corruption {listed(settings.corruptions)}. Overfit: first epoch of mean training loss at most "
                f"{settings.overfit_loss:g}; points that a run did not reach are left out. Test error at the end of each "
                f"run that fitted its labels to 99 %, bars: range over seeds. {published}."
            ),
            alt=(
                "Two panels against label corruption for three networks: time to overfit grows, and test error rises to "
                "that of guessing, 0.9."
            ),
            draw=draw_corruption,
        ),
        Figure(
            name="zhang2017_fig2a",
            items=("004-F7",),
            title="Figure 2 a: early stopping, published curves and a stand-in",
            caption=(
                "Left: published curves only, ImageNet (not computed here); dashed: test, dotted: train. Right: a stand-in, "
                f"NOT the paper's experiment. {inception}Random crops (crop) and weight decay {settings.weight_decay:g} (wd) "
                f"on and off; thin: training accuracy while training, on the altered images. {data}Of these "
                f"{seeds_text(s.table_seeds)} here. Shaded: up to the best test accuracy so far."
            ),
            alt="Accuracy over steps: published ImageNet curves at left, three variants of small Inception at right.",
            draw=draw_early_stopping,
        ),
        Figure(
            name="zhang2017_fig2b",
            items=("004-F8",),
            title="Figure 2 b: with and without batch norm",
            caption=(
                f"{inception}Without batch norm (w/o BN) {settings.plain_rate:g}. No explicit regulariser. Thin: training "
                "accuracy. Shaded: up to the best test accuracy so far "
                f"(early stopping could gain no more). {data}Curves are means over seeds, light bands their range."
            ),
            alt="Accuracy over steps with and without batch norm, ours at left and published at right.",
            draw=draw_norm,
        ),
    ]
